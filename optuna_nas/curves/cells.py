"""The cells that the closed form averages over: shape x noise x signal-to-noise ratio.

In a cell the losses are ``y = c + σ (r s(t) + e(t))``: a shape s of unit gain, a signal-to-noise
ratio r, and noise e that is white plus a random walk. All but the offset c and the scale σ is fixed
in a cell, so what depends on the observed steps alone is computed once for all curves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from optuna_nas.curves.shapes import shape_matrix

Array = NDArray[np.float64]

RATIOS = np.array([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0])  # r

SINGLE_POINTS = 8  # the last points, never averaged: they say where the curve is
MOST_POINTS = 32


@dataclass(frozen=True)
class Noise:
    """White noise plus a random walk.

    Attributes:
        name: For people.
        walk: Variance of the random walk over the horizon (or over a factor of e of the step),
            in units of the white noise's at the horizon.
        logarithmic: Whether the random walk runs in the logarithm of the step.
        fading: Whether the white noise's variance falls as 1 / t.
    """

    name: str
    walk: float
    logarithmic: bool = False
    fading: bool = False

    def clock(self, times: Array) -> Array:
        """The random walk's time."""
        clock: Array = np.log(times / times[0]) if self.logarithmic else times - times[0]
        return clock

    def covariance(self, times: Array, counts: Array) -> Array:
        """Covariance of averages over `counts` points about each time, shape ``(n, n)``."""
        clock = self.clock(times)
        white = 1.0 / np.maximum(times, 1e-2) if self.fading else np.ones_like(times)
        walk: Array = self.walk * np.minimum(clock[:, None], clock[None, :])
        return walk + np.diag(white / counts)


NOISES = (
    Noise("white", 0.0),
    Noise("walk 3", 3.0),
    Noise("walk 30", 30.0),
    Noise("walk 300", 300.0),
    Noise("walk 3000", 3000.0),
    Noise("log walk 1", 1.0, logarithmic=True),
    Noise("log walk 10", 10.0, logarithmic=True),
    Noise("log walk 100", 100.0, logarithmic=True),
    Noise("fading", 0.0, fading=True),
    Noise("fading, walk 3", 3.0, fading=True),
)


@dataclass(frozen=True, eq=False)
class Design:
    """All that the closed form needs for curves observed at the same steps.

    J noises, S shapes, n observed points, reduced to at most `MOST_POINTS` averages.

    Attributes:
        average: Points -> averages, or None where nothing is averaged.
        operator: Shape ``(J n + J S + J, n)``; applied to the losses it gives, one after the
            other, whitened losses, the losses' products with the shapes, and the forecasts of
            the noise model alone.
        shape_energy: Qss, shape ``(J, S)``.
        shape_gain: What the shape adds to the forecast, shape ``(J, S)``.
        variance: Forecast variance, shape ``(J,)``, in σ².
        log_volume: -(log |N| + log 1ᵀN⁻¹1) / 2, shape ``(J,)``.
    """

    average: Array | None
    operator: Array
    shape_energy: Array
    shape_gain: Array
    variance: Array
    log_volume: Array


Shapes = Callable[[Array], Array]


def design(
    steps: Array,
    horizon: float,
    shapes: Shapes = shape_matrix,
    noises: Sequence[Noise] = NOISES,
) -> Design:
    """Prepare for curves observed at the same steps.

    Args:
        steps: Shape ``(n,)``, all before the horizon.
        horizon: The step that is asked about.
        shapes: Times ``(n + 1,)``, parts of the horizon -> shapes ``(n + 1, S)``, as losses.
        noises: J of them.
    """
    times = np.maximum(steps / horizon, 1e-3)
    average, times, counts = _averages(times)
    n = len(times)
    times = np.append(times, 1.0)
    counts = np.append(counts, 1.0)
    matrix = shapes(times)  # (n + 1, S)
    seen, final = matrix[:-1], matrix[-1]
    whitened, products, forecasts = [], [], []
    energy, gain, variance, volume = [], [], [], []
    for noise in noises:
        covariance = noise.covariance(times, counts)
        factor = np.linalg.cholesky(covariance[:-1, :-1] + 1e-10 * np.eye(n))
        to_final = np.linalg.solve(factor, covariance[:-1, -1])  # L⁻¹k
        ones = np.linalg.solve(factor, np.ones(n))  # L⁻¹1
        precision = float(ones @ ones)  # 1ᵀN⁻¹1
        # P L⁻¹ with P = I - 1~ 1~ᵀ / 1~ᵀ1~: the offset is integrated out with a flat prior.
        inverse = np.linalg.inv(factor)
        projected = inverse - np.outer(ones, ones @ inverse) / precision
        shape = projected @ seen
        missing = 1.0 - float(to_final @ ones)
        # Kriging with an unknown mean (Cressie 1993, equation 3.4.2), weights that sum to 1.
        weights = to_final @ projected + (ones @ inverse) / precision
        whitened.append(projected)
        products.append(shape.T @ projected)
        forecasts.append(weights)
        energy.append((shape**2).sum(axis=0))
        gain.append(final - weights @ seen)
        variance.append(float(covariance[-1, -1] - to_final @ to_final) + missing**2 / precision)
        volume.append(-float(np.log(np.diag(factor)).sum()) - 0.5 * float(np.log(precision)))
    return Design(
        average,
        np.concatenate([*whitened, *products, np.array(forecasts)]),
        np.array(energy),
        np.array(gain),
        np.array(variance),
        np.array(volume),
    )


@lru_cache(maxsize=256)
def cached_design(key: bytes, horizon: float) -> Design:
    """`design` of the steps in `key`; trials of one study are asked about at the same steps."""
    return design(np.frombuffer(key), horizon)


def _averages(times: Array) -> tuple[Array | None, Array, Array]:
    """Averages over ever wider windows of early points; late ones stay single.

    Returns:
        The averaging matrix of shape ``(n, N)`` or None, the mean times and the counts ``(n,)``.
    """
    total = len(times)
    if total <= MOST_POINTS:
        return None, times, np.ones(total)
    windows = MOST_POINTS - SINGLE_POINTS
    early = total - SINGLE_POINTS
    edges = np.unique(np.round(early * np.linspace(0.0, 1.0, windows + 1) ** 1.5).astype(int))
    edges = np.concatenate([edges, np.arange(early + 1, total + 1)])
    counts = np.diff(edges).astype(float)
    matrix = np.zeros((len(counts), total))
    for row, (start, end) in enumerate(itertools.pairwise(edges)):
        matrix[row, start:end] = 1.0 / (end - start)
    return matrix, matrix @ times, counts
