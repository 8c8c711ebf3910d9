"""The best individuals there are: one, or all that no other one dominates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optuna_nas.search.population import Individual


class Front:
    """Individuals of which none dominates another, in the order in which they came.

    With one objective these are the best one and all that equal it.
    """

    def __init__(self) -> None:
        self.members: list[Individual] = []
        # Of the members, shape (members, objectives); read only if several objectives count.
        self._losses: NDArray[np.float64] = np.empty((0, 0))

    def improved_by(self, individual: Individual) -> bool:
        """Whether no member is at least as good."""
        if self._ordered(individual):
            return self.members[0].fitness.key > individual.fitness.key
        if not self.members:
            return True
        return not np.all(self._losses <= individual.fitness.losses, axis=1).any()

    def add(self, individual: Individual) -> None:
        """Let it in unless a member dominates it; those it dominates go."""
        if self._ordered(individual):
            best, key = self.members[0].fitness.key, individual.fitness.key
            if key < best:
                self._begin(individual)
            elif key == best:
                self.members.append(individual)
            return
        if not self.members:
            self._begin(individual)
            return
        new = np.array(individual.fitness.losses)
        no_worse, no_better = self._losses <= new, self._losses >= new  # (members, objectives)
        equal = np.all(no_worse & no_better, axis=1)
        if (np.all(no_worse, axis=1) & ~equal).any():
            return
        stays = ~np.all(no_better, axis=1) | equal
        self.members = [m for m, stay in zip(self.members, stays.tolist(), strict=True) if stay]
        self.members.append(individual)
        self._losses = np.vstack([self._losses[stays], new])

    def _begin(self, individual: Individual) -> None:
        self.members = [individual]
        self._losses = np.array([individual.fitness.losses])

    def _ordered(self, individual: Individual) -> bool:
        """Whether one comparison decides, for all members are equally good."""
        if not self.members:
            return False
        fitness = self.members[0].fitness
        several = fitness.comparable and individual.fitness.comparable
        return not (several and len(fitness.losses) > 1)
