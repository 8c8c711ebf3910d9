"""What the curve network sees of a curve: a fixed number of features, whatever its length."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BINS = 20  # parts of the time from the start to the last step
LATEST = 8  # last points as they are
FEATURES = 3 * BINS + LATEST + 4
DEGREES = 4  # of the Student-t distributions that come out

# Of this part of the range of a curve, differences mean nothing.
_SMALLEST = 1e-6


def network_inputs(steps: Array, losses: Array, horizon: float) -> tuple[Array, Array, Array]:
    """Features of curves that were observed at the same steps.

    Of each bin of the elapsed time: the mean loss, the spread of losses about it, and how many
    there are. Of the end: the last points. Of the whole: how much of the horizon has gone, how many
    points were seen, and how noisy their differences are. Losses are relative to the last one, in
    units of the range, so that the features do not change with the losses' unit and zero.

    Args:
        steps: Shape ``(n,)``, positive or zero, increasing, n at least 1.
        losses: Shape ``(curves, n)``, finite.
        horizon: The step asked about, at least the last one.

    Returns:
        Features of shape ``(curves, FEATURES)``, the losses' origin and their unit, both
        ``(curves,)``.
    """
    means, counts = _bins(steps.tobytes())
    last = losses[:, -1]
    unit = losses.max(axis=1) - losses.min(axis=1)
    unit = np.where(unit > _SMALLEST * np.abs(losses).max(axis=1), unit, 0.0)
    relative = (losses - last[:, None]) / np.where(unit > 0, unit, 1.0)[:, None]
    binned = relative @ means.T
    spread = np.sqrt(np.maximum(relative**2 @ means.T - binned**2, 0.0))
    n = len(steps)
    latest = np.zeros((len(losses), LATEST))
    latest[:, -min(n, LATEST) :] = relative[:, -LATEST:]
    latest[:, : -min(n, LATEST)] = relative[:, :1]
    gone = min(float(steps[-1]) / horizon, 1.0)
    rough = np.abs(np.diff(relative, n=2, axis=1)).mean(axis=1) if n > 2 else np.zeros(len(losses))
    whole = np.empty((len(losses), 4))
    whole[:, 0] = gone
    whole[:, 1] = np.log(gone + 1e-3)
    whole[:, 2] = np.log(n)
    whole[:, 3] = np.log(rough + 1e-3)
    seen = np.broadcast_to(np.log1p(counts), (len(losses), BINS))
    return np.hstack([binned, spread, seen, latest, whole]), last, unit


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
