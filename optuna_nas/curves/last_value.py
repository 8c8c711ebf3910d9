"""The baseline: the curve stays where it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optuna_nas.curves.curve import Curve
from optuna_nas.curves.posterior import Posterior
from optuna_nas.curves.scale import fallback_scale


@dataclass(frozen=True)
class LastValue:
    """A random walk in the logarithm of the step.

    The final value is the last value plus what a random walk adds on the way; its variance per
    unit of log step is estimated from the curve's own differences. No direction of improvement is
    assumed. Simple and hard to beat where ranks count: rank correlations of learning curves at
    different epochs are high.
    """

    def fit(self, peers: Sequence[Curve], horizon: float) -> RandomWalk:
        """Peers only say how large differences are for a curve without any."""
        return RandomWalk(horizon, tuple(peers))


@dataclass(frozen=True, eq=False)
class RandomWalk:
    """`LastValue` of one study."""

    horizon: float
    peers: tuple[Curve, ...] = ()

    def predict(self, curve: Curve) -> Posterior:
        """A Student-t around the last loss."""
        fallback = fallback_scale(curve, self.peers)
        times = np.log(np.maximum(curve.steps, 1e-3 * self.horizon))
        spans = np.maximum(np.diff(times), 1e-9)
        rates = np.diff(curve.losses) ** 2 / spans
        # Two pseudo-observations of a small rate keep a constant start from certainty.
        prior = (0.05 * fallback) ** 2
        rate = (2.0 * prior + float(rates.sum())) / (2.0 + len(rates))
        ahead = math.log(self.horizon) - float(times[-1])
        return Posterior.single(curve.last, math.sqrt(rate * ahead), 4, maximize=False)
