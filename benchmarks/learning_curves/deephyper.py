"""The model behind DeepHyper's `LCModelStopper`, from its package, as a rival.

One family with four parameters (MMF), a least squares start and a Markov chain (NUTS, 200 + 1,000
steps). It expects scores in about [0, 1], larger is better: losses are turned round and mapped
there by the range of the task, as for `domhan`. Every forecast is a fresh fit: its stopper goes on
with the first one, which then ignores all later points. The noise it finds is added to its
forecasts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optuna_nas.curves import Curve, LastValue, Posterior

FEWEST = 4  # points; the stopper does not judge before


@dataclass(frozen=True)
class DeepHyper:
    """The rival as a curve model.

    Attributes:
        worst: The loss that is mapped to 0.
        best: The loss that is mapped to 1.
        seed: Of the sampler.
    """

    worst: float
    best: float
    seed: int = 0

    def fit(self, peers: Sequence[Curve], horizon: float) -> DeepHyperPredictor:
        return DeepHyperPredictor(self, horizon)


@dataclass(frozen=True)
class DeepHyperPredictor:
    model: DeepHyper
    horizon: float

    def predict(self, curve: Curve) -> Posterior:
        from deephyper.stopper.lce import BayesianLearningCurveRegressor as Regressor

        if len(curve) < FEWEST:
            return LastValue().fit([], self.horizon).predict(curve)
        span = self.model.worst - self.model.best
        function = Regressor.get_parametrics_model_func("mmf4")
        size = 100 * math.ceil(len(curve) / 100)  # as the stopper does
        regressor = Regressor(function, 4, random_state=self.model.seed, batch_size=size)
        regressor.fit(curve.steps, (self.model.worst - curve.losses) / span)
        ends = regressor.predict_posterior_samples(np.array([self.horizon]))[:, 0]
        means = np.nan_to_num(np.asarray(ends, dtype=float), posinf=1e3, neginf=-1e3)
        sigmas = np.asarray(regressor.mcmc_.get_samples()["sigma"], dtype=float)
        weights = np.full(len(means), 1.0 / len(means))
        locations = self.model.worst - span * np.clip(means, -1e3, 1e3)
        # 30 degrees of freedom: as good as the Gaussian that it supposes.
        return Posterior(weights, locations, span * np.maximum(sigmas, 1e-9), 30, maximize=False)


def installed() -> bool:
    """Whether the package and what its model needs are there."""
    try:
        import deephyper.stopper.lce  # noqa: F401
    except ImportError:
        return False
    return True
