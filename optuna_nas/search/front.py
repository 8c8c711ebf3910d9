"""The best individuals there are: one, or all that no other one dominates."""

from __future__ import annotations

from optuna_nas.search.fitness import Fitness
from optuna_nas.search.population import Individual


class Front:
    """Individuals of which none dominates another, in the order in which they came.

    With one objective these are the best one and all that equal it.
    """

    def __init__(self) -> None:
        self.members: list[Individual] = []

    def improved_by(self, individual: Individual) -> bool:
        """Whether no member is at least as good."""
        if self._ordered(individual):
            return self.members[0].fitness.key > individual.fitness.key
        return not any(_as_good(member.fitness, individual.fitness) for member in self.members)

    def add(self, individual: Individual) -> None:
        """Let it in unless a member dominates it; those it dominates go."""
        if self._ordered(individual):
            best, key = self.members[0].fitness.key, individual.fitness.key
            if key < best:
                self.members.clear()
            if key <= best:
                self.members.append(individual)
            return
        new = individual.fitness
        if not any(_dominates(member.fitness, new) for member in self.members):
            kept = [member for member in self.members if not _dominates(new, member.fitness)]
            self.members = [*kept, individual]

    def _ordered(self, individual: Individual) -> bool:
        """Whether one comparison decides, for all members are equally good."""
        if not self.members:
            return False
        fitness = self.members[0].fitness
        several = fitness.comparable and individual.fitness.comparable
        return not (several and len(fitness.losses) > 1)


def _dominates(a: Fitness, b: Fitness) -> bool:
    """Constrained domination (Deb et al. 2002, section VI): feasible and valued ones first."""
    if a.comparable and b.comparable:
        return a.losses != b.losses and _as_good(a, b)
    return a.key < b.key


def _as_good(a: Fitness, b: Fitness) -> bool:
    if a.comparable and b.comparable:
        return all(x <= y for x, y in zip(a.losses, b.losses, strict=True))
    return a.key <= b.key
