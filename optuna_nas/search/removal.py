"""Who leaves a population that is full, by position among its members."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_nas.search.population import Population


def oldest(population: Population) -> int:
    """Aging (Real et al. 2019, algorithm 1): no lucky evaluation is a parent for ever."""
    return 0


def worst(population: Population) -> int:
    """The worst, perhaps the newcomer itself; the oldest of equals.

    With one objective the largest `Fitness.key` ("non-aging evolution", Real et al. 2019, section
    5); with several the largest non-domination rank, and within it the smallest crowding distance
    (the truncation of NSGA-II, Deb et al. 2002, section III-C, one at a time).
    """
    members = population.members
    if all(len(member.fitness.losses) < 2 or not member.fitness.comparable for member in members):
        return max(range(len(members)), key=lambda index: members[index].fitness.key)
    last = int(population.ranks.max())
    crowding = population.crowding(last)
    return min(crowding, key=lambda index: crowding[index])


@dataclass(frozen=True)
class Mixture:
    """The oldest with a probability, else the worst (as in EENA, Zhu et al. 2019).

    The coin is thrown by the number of the newcomer's trial, the same for everybody, so that all
    workers of a study have one population.

    Attributes:
        oldest_probability: How often the oldest goes.
    """

    oldest_probability: float

    def __call__(self, population: Population) -> int:
        _, number = population.members[-1].age
        drawn = np.random.SeedSequence(number).generate_state(1, np.uint64)[0] / 2.0**64
        return oldest(population) if drawn < self.oldest_probability else worst(population)
