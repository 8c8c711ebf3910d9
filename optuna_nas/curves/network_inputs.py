"""What the curve network sees of a curve: a fixed number of features, whatever its length."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BINS = 20  # parts of the time from the start to the last step
LATEST = 8  # last points as they are
FEATURES = 3 * BINS + LATEST + 6
DEGREES = 4  # of the Student-t distributions that come out

# Of this part of the range of a curve, differences mean nothing.
_SMALLEST = 1e-6
# The unit is no less than this part of the range, so that nothing is more than 1e4 units away.
_LEAST = 1e-4


@dataclass(frozen=True, eq=False)
class Inputs:
    """Features of curves, and what their forecasts are relative to.

    Attributes:
        features: Shape ``(curves, FEATURES)``.
        origin: The last losses, shape ``(curves,)``.
        unit: The range of the second half of the points, shape ``(curves,)``; 0 for a constant
            curve.
        reach: The range of all points in these units, at least 1; shape ``(curves,)``.
    """

    features: Array
    origin: Array
    unit: Array
    reach: Array


def network_inputs(steps: Array, losses: Array, horizon: float) -> Inputs:
    """Features of curves that were observed at the same steps.

    Of each bin of the elapsed time: the mean loss, the spread of losses about it, and how many
    there are. Of the end: the last points. Of the whole: how much of the horizon has gone, how many
    points were seen, how noisy all of their differences and the last ones are, and how much was
    gained before. Losses are relative to the last one, so that the features do not change with the
    losses' unit and zero. The unit is what still happened of late: in units of the whole range, all
    after a huge first loss would look the same. asinh keeps that first loss in bounds.

    Args:
        steps: Shape ``(n,)``, positive or zero, increasing, n at least 1.
        losses: Shape ``(curves, n)``, finite.
        horizon: The step asked about, at least the last one.
    """
    means, counts = _bins(steps.tobytes())
    n = len(steps)
    last = losses[:, -1]
    whole = np.ptp(losses, axis=1)
    whole = np.where(whole > _SMALLEST * np.abs(losses).max(axis=1), whole, 0.0)
    recent = np.ptp(losses[:, (n - 1) // 2 :], axis=1)
    unit = np.maximum(recent, _LEAST * whole)
    unit = np.where(whole > 0, unit, 0.0)
    safe = np.where(unit > 0, unit, 1.0)
    relative = (losses - last[:, None]) / safe[:, None]
    reach = np.maximum(whole / safe, 1.0)
    binned = relative @ means.T
    spread = np.sqrt(np.maximum(relative**2 @ means.T - binned**2, 0.0))
    latest = np.empty((len(losses), LATEST))
    latest[:, -min(n, LATEST) :] = relative[:, -LATEST:]
    latest[:, : -min(n, LATEST)] = relative[:, :1]
    gone = min(float(steps[-1]) / horizon, 1.0)
    numbers = np.empty((len(losses), 6))
    numbers[:, 0] = gone
    numbers[:, 1] = np.log(gone + 1e-3)
    numbers[:, 2] = np.log(n)
    numbers[:, 3] = np.log(_roughness(relative) + 1e-3)
    numbers[:, 4] = np.log(_roughness(relative[:, (n - 1) // 2 :]) + 1e-3)
    numbers[:, 5] = np.log(reach)
    seen = np.broadcast_to(np.log1p(counts), (len(losses), BINS))
    curved = np.arcsinh(np.hstack([binned, spread, latest]))
    return Inputs(np.hstack([curved, seen, numbers]), last, unit, reach)


def _roughness(losses: Array) -> Array:
    """Mean absolute second difference, shape ``(curves,)``."""
    if losses.shape[1] < 3:
        return np.zeros(len(losses))
    return np.asarray(np.abs(np.diff(losses, n=2, axis=1)).mean(axis=1), dtype=np.float64)


@lru_cache(maxsize=1024)
def _bins(key: bytes) -> tuple[Array, Array]:
    """Operator that takes losses to the means of the bins, ``(BINS, n)``, and the bins' counts.

    A bin without a point takes the loss between its neighbours, by linear interpolation.
    """
    steps = np.frombuffer(key)
    last = max(float(steps[-1]), 1e-12)
    index = np.minimum((steps / last * BINS * (1 - 1e-12)).astype(int), BINS - 1)
    means = np.zeros((BINS, len(steps)))
    means[index, np.arange(len(steps))] = 1.0
    counts = means.sum(axis=1)
    for empty in np.flatnonzero(counts == 0):
        centre = (empty + 0.5) / BINS * last
        after = int(np.searchsorted(steps, centre))
        before = max(after - 1, 0)
        after = min(after, len(steps) - 1)
        gap = steps[after] - steps[before]
        share = (centre - steps[before]) / gap if gap > 0 else 0.0
        means[empty, before] += 1.0 - share
        means[empty, after] += share
    return means / means.sum(axis=1, keepdims=True), counts
