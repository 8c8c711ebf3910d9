"""Who becomes a parent: tournaments, by one objective or by non-domination."""

from __future__ import annotations

import numpy as np

from optuna_nas.search.population import Individual, Population


def tournament(
    population: Population, size: int, rng: np.random.Generator, *, replacement: bool = True
) -> Individual:
    """The best of `size` members drawn at random.

    With one objective the best is the one with the smallest `Fitness.key`. With several it has the
    smallest non-domination rank within the population, and among equals the largest crowding
    distance (Deb et al. 2002, section III-C). Ties go to the first drawn.

    Args:
        population: Who may win.
        size: Number of draws. Without replacement, of all members where there are fewer.
        rng: Source of randomness.
        replacement: Whether one member can be drawn several times (as in Real et al. 2019,
            algorithm 1). Without it the worst ``size - 1`` members can't win.

    Cost: O(size) with one objective, O(population^2) with several; none in the length of the
    history.

    Raises:
        ValueError: If the population is empty.
    """
    members = population.members
    drawn: list[int]
    if replacement:
        drawn = rng.integers(len(members), size=size).tolist()
    else:
        drawn = rng.permutation(len(members))[:size].tolist()
    if not any(_has_several_objectives(members[index]) for index in drawn):
        return min((members[index] for index in drawn), key=lambda member: member.fitness.key)
    ranks = population.ranks
    best = min(int(ranks[index]) for index in drawn)
    tied = list(dict.fromkeys(index for index in drawn if ranks[index] == best))
    if len(tied) > 1:
        crowding = population.crowding(best)
        return members[max(tied, key=lambda index: crowding[index])]
    return members[tied[0]]


def _has_several_objectives(member: Individual) -> bool:
    return member.fitness.comparable and len(member.fitness.losses) > 1
