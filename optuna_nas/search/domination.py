"""Non-domination and crowding, the order of individuals under several objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optuna_nas.search.fitness import Fitness


def domination_ranks(fitnesses: Sequence[Fitness]) -> NDArray[np.int64]:
    """Rank of each: 0 is dominated by nobody, 1 only by those of rank 0, and so on.

    Feasible and valued ones are sorted by non-domination of their losses; after them come the
    others, in the order of `Fitness.key` (the constrained domination of Deb et al. 2002, section
    VI, with early-stopped individuals behind the finished ones).

    Returns:
        Shape (individuals,).
    """
    ranks = np.zeros(len(fitnesses), dtype=np.int64)
    valued = [index for index, fitness in enumerate(fitnesses) if fitness.comparable]
    if valued:
        ranks[valued] = _sort_fronts(losses_of(fitnesses, valued))
    behind = int(ranks[valued].max()) + 1 if valued else 0
    others = [index for index, fitness in enumerate(fitnesses) if not fitness.comparable]
    keys = sorted({fitnesses[index].key for index in others})
    for index in others:
        ranks[index] = behind + keys.index(fitnesses[index].key)
    return ranks


def crowding_distances(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Crowding distance of each point of a front (Deb et al. 2002, section III-B).

    Args:
        losses: Shape (points, objectives).

    Returns:
        Shape (points,): sum over the objectives of the gap between the two neighbours, relative to
        the front's extent; infinite for the extremes. An objective in which all agree does not
        count.
    """
    distances = np.zeros(len(losses))
    for values in losses.T:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        if ordered[0] == ordered[-1]:
            continue
        distances[order[[0, -1]]] = np.inf
        # Halves, for the extent of huge losses may be more than a number can be.
        extent = ordered[-1] / 2 - ordered[0] / 2
        if np.isfinite(extent) and extent > 0:
            distances[order[1:-1]] += (ordered[2:] / 2 - ordered[:-2] / 2) / extent
    return distances


def losses_of(fitnesses: Sequence[Fitness], indices: Sequence[int]) -> NDArray[np.float64]:
    """Losses of some individuals, shape (indices, objectives)."""
    return np.array([fitnesses[index].losses for index in indices], dtype=float)


def _sort_fronts(losses: NDArray[np.float64]) -> NDArray[np.int64]:
    """Non-domination rank of each row of (points, objectives), by peeling fronts."""
    # (points, points): is the row's point nowhere worse, and somewhere better, than the column's?
    no_worse = np.all(losses[:, None, :] <= losses[None, :, :], axis=2)
    dominates: NDArray[np.bool_] = no_worse & ~no_worse.T
    dominators = dominates.sum(axis=0)  # (points,)
    ranks = np.full(len(losses), -1, dtype=np.int64)
    rank = 0
    while (front := (ranks < 0) & (dominators == 0)).any():
        ranks[front] = rank
        dominators = dominators - dominates[front].sum(axis=0)
        rank += 1
    return ranks
