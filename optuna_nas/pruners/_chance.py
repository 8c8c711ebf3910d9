"""The chance that a trial joins a front, from what is believed of each of its values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# P(loss < value), of one objective.
Below = Callable[[float], float]


def certain(loss: float) -> Below:
    """The belief of an objective that is known."""
    return lambda value: float(loss < value)


def chance_to_join(front: Array, beliefs: Sequence[Below]) -> float:
    """Probability that no point of the front is at least as good in all objectives.

    The objectives are taken as independent. The points' first coordinates cut the first objective
    into strips; within a strip only the points to its left can dominate, and of these only the
    other coordinates matter: summed over the strips, this is exact.

    Args:
        front: Shape ``(k, d)``, losses; dominated points do no harm.
        beliefs: ``d`` of them. The work grows with ``k**(d - 1)``, but not for known objectives
            that come first.
    """
    if len(front) == 0:
        return 1.0
    first, *others = beliefs
    if not others:
        return first(float(front[:, 0].min()))
    cuts = np.unique(front[:, 0])  # sorted
    below = [first(float(cut)) for cut in cuts] + [1.0]
    chance = below[0]
    for cut, left, right in zip(cuts, below[:-1], below[1:], strict=True):
        if right > left:
            rivals = front[front[:, 0] <= cut, 1:]
            chance += (right - left) * chance_to_join(rivals, others)
    return chance


def joins(front: Array, point: Array) -> bool:
    """Whether no point of a front ``(k, d)`` is at least as good as a point ``(d,)`` everywhere."""
    return not bool(np.any(np.all(front <= point, axis=1)))


def with_point(front: Array, point: Array) -> Array:
    """The front ``(k, d)`` after a point ``(d,)`` came: without those it dominates."""
    if not joins(front, point):
        return front
    kept = front[~np.all(point <= front, axis=1)]
    return np.vstack([kept, point])
