"""The population of aging evolution: the youngest individuals, whatever their fitness."""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_nas.search.domination import crowding_distances, domination_ranks, losses_of
from optuna_nas.search.fitness import Evidence, Fitness
from optuna_nas.space.decisions import Domain, Value

Age = tuple[float, int]  # time of completion, and a number that orders what completed at once


@dataclass(frozen=True, slots=True)
class Individual:
    """One finished architecture.

    Attributes:
        age: When it was completed; the smallest is the oldest.
        params: Its decisions, only the active ones, in the order they were taken.
        domains: What each of these decisions could have been.
        fitness: How good it is.
        identity: What equal architectures share, as an `Encoding` computes it.
        note: What the strategy that proposed it wrote down with the trial, if anything.
    """

    age: Age
    params: Mapping[str, Value]
    domains: Mapping[str, Domain]
    fitness: Fitness
    identity: Hashable = None
    note: Mapping[str, Any] | None = None

    @property
    def failed(self) -> bool:
        """Whether it ended without a result; its decisions may be incomplete."""
        return self.fitness.evidence == Evidence.FAILURE


class Population:
    """The `capacity` youngest individuals, oldest first.

    Age is the order of completion (asynchronous evaluation, Real et al. 2019), not of arrival
    here: individuals may be added in any order, and the same individuals make the same population.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._members: list[Individual] = []
        self._ranks: NDArray[np.int64] | None = None

    @property
    def members(self) -> Sequence[Individual]:
        return self._members

    def __len__(self) -> int:
        return len(self._members)

    def add(self, individual: Individual) -> None:
        """Let one in; the oldest goes where there is no room."""
        insort(self._members, individual, key=lambda member: member.age)
        if len(self._members) > self.capacity:
            del self._members[0]
        self._ranks = None

    @property
    def ranks(self) -> NDArray[np.int64]:
        """Non-domination rank of each member, shape (members,). O(members^2) after a change."""
        if self._ranks is None:
            self._ranks = domination_ranks([member.fitness for member in self._members])
        return self._ranks

    def crowding(self, rank: int) -> dict[int, float]:
        """Crowding distance of each member of a rank, by position."""
        front = [int(index) for index in np.flatnonzero(self.ranks == rank)]
        fitnesses = [member.fitness for member in self._members]
        if not fitnesses[front[0]].comparable:  # behind all fronts: equal keys
            return dict.fromkeys(front, 0.0)
        distances = crowding_distances(losses_of(fitnesses, front))
        return {index: float(d) for index, d in zip(front, distances, strict=True)}
