"""The population of an evolution: which individuals can become parents."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
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
    """At most `capacity` individuals, oldest first.

    Individuals are let in by the order of their age, and whenever there is no room, one goes. Age
    is the order of completion (asynchronous evaluation, Real et al. 2019), not of arrival here: for
    an individual that arrives late, the younger ones are taken back, with all that their entry
    caused, and let in again after it. So the same individuals make the same population, whatever
    the order and the groups in which they are added. A late arrival costs as many steps as it is
    late; what can be taken back is kept, so memory is linear in the individuals that were added.

    Args:
        capacity: Most members.
        removal: Says who goes, by position, when the population holds one too many. It has to
            follow from the members alone. The oldest goes where it is left out.
    """

    def __init__(self, capacity: int, removal: Callable[[Population], int] | None = None) -> None:
        self.capacity = capacity
        self._removal = removal
        self._members: list[Individual] = []
        # By age: who came, and who went for it from where (None while there was room).
        self._entries: list[tuple[Individual, tuple[int, Individual] | None]] = []
        self._ranks: NDArray[np.int64] | None = None

    @property
    def members(self) -> Sequence[Individual]:
        return self._members

    def __len__(self) -> int:
        return len(self._members)

    def add(self, *individuals: Individual) -> None:
        """Let some in, in any order."""
        newcomers = list(individuals)
        first = min((one.age for one in newcomers), default=None)
        while first is not None and self._entries and self._entries[-1][0].age > first:
            newcomers.append(self._take_back())
        for newcomer in sorted(newcomers, key=lambda one: one.age):
            self._let_in(newcomer)

    def _let_in(self, newcomer: Individual) -> None:
        self._members.append(newcomer)
        self._ranks = None
        gone = None
        if len(self._members) > self.capacity:
            position = 0 if self._removal is None else self._removal(self)
            gone = position, self._members.pop(position)
            self._ranks = None
        self._entries.append((newcomer, gone))

    def _take_back(self) -> Individual:
        newcomer, gone = self._entries.pop()
        if gone is not None:
            self._members.insert(*gone)
        self._members.pop()
        self._ranks = None
        return newcomer

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
