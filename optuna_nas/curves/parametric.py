"""The parametric families of Domhan et al. 2015 in a Bayesian mixture, without a Markov chain.

"Speeding up automatic hyperparameter optimization of deep neural networks by extrapolation of
learning curves" (IJCAI 2015), table 1. Once offset and amplitude are integrated out, the nine
families are four: pow3 and pow4 are delayed powers, log power, MMF and Hill3 are one sigmoid,
Weibull, janoschek and exp4 are one stretched exponential, and log log linear remains. The
parameters left are drawn from a prior once, with a fixed seed, and weighted by their evidence
(importance sampling); the paper samples all parameters and the weights of a sum of the families by
Markov chain Monte Carlo, which takes seconds. Noise is white, as in the paper.

It knows neither late take-offs nor curves that get worse, and is offered for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from optuna_nas.curves.cells import NOISES, Design, design
from optuna_nas.curves.closed_form import evaluate, mixture
from optuna_nas.curves.curve import Curve
from optuna_nas.curves.posterior import Posterior
from optuna_nas.curves.scale import fallback_scale

Array = NDArray[np.float64]

DRAWS = 40  # of the parameters, for each of the nine


@dataclass(frozen=True)
class Parametric:
    """The mixture of families; it takes no notice of the peers."""

    def fit(self, peers: Sequence[Curve], horizon: float) -> ParametricPredictor:
        """Peers only say how large differences are for a curve without any."""
        return ParametricPredictor(horizon, tuple(peers))


@dataclass(frozen=True, eq=False)
class ParametricPredictor:
    """`Parametric` of one study."""

    horizon: float
    peers: tuple[Curve, ...] = ()

    def predict(self, curve: Curve) -> Posterior:
        """A mixture over families and their parameters."""
        cells = evaluate(_design(curve.key, self.horizon), curve, fallback_scale(curve, self.peers))
        return mixture(cells, cells.evidence, 1.0, 6)


@lru_cache(maxsize=64)
def _design(key: bytes, horizon: float) -> Design:
    shapes = lambda times: families(times * horizon)  # noqa: E731
    return design(np.frombuffer(key), horizon, shapes, NOISES[:1])


def families(steps: Array) -> Array:
    """All draws of all families at some steps.

    Args:
        steps: Shape ``(n,)``, positive and increasing.

    Returns:
        Shape ``(n, 9 DRAWS)``, losses that fall by 1 from the first step to the last.
    """
    rng = np.random.default_rng(0)
    x = steps[:, None]
    powers, sigmoids, exponentials = 2 * DRAWS, 3 * DRAWS, 3 * DRAWS
    delay = np.where(np.arange(powers) < DRAWS, 0.0, rng.lognormal(1.0, 1.0, powers))
    time = rng.lognormal(2.0, 1.5, sigmoids + exponentials)
    exponent = rng.lognormal(0.0, 0.5, sigmoids + exponentials)
    scaled = (x / time) ** exponent
    gains = np.hstack(
        [
            -((x + delay) ** -rng.lognormal(-0.5, 0.8, powers)),
            scaled[:, :sigmoids] / (1.0 + scaled[:, :sigmoids]),
            -np.expm1(-scaled[:, sigmoids:]),
            np.log(np.log(x + 1.0) + rng.lognormal(0.0, 1.0, DRAWS)),
        ]
    )
    losses: Array = (gains[0] - gains) / np.maximum(gains[-1] - gains[0], 1e-9)
    return losses
