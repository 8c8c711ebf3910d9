"""Two models asked at once: half the weight each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optuna_nas.curves import Curve, CurveModel, Posterior, Predictor

DEGREES = 4


@dataclass(frozen=True)
class Pooled:
    """The equal mixture of two models' forecasts."""

    first: CurveModel
    second: CurveModel

    def fit(self, peers: Sequence[Curve], horizon: float) -> PooledPredictor:
        return PooledPredictor(self.first.fit(peers, horizon), self.second.fit(peers, horizon))


@dataclass(frozen=True)
class PooledPredictor:
    first: Predictor
    second: Predictor

    def predict(self, curve: Curve) -> Posterior:
        parts = [self.first.predict(curve), self.second.predict(curve)]
        return Posterior(
            np.concatenate([0.5 * part.weights for part in parts]),
            np.concatenate([part.locations for part in parts]),
            np.concatenate([part.scales * _rescale(part.degrees) for part in parts]),
            DEGREES,
            maximize=False,
        )


def _rescale(degrees: int) -> float:
    """What keeps the variance ν / (ν - 2) scale² at the mixture's degrees of freedom."""
    return math.sqrt(degrees / (degrees - 2) / (DEGREES / (DEGREES - 2)))
