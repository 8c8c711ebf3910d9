"""Aging evolution (Real et al. 2019, algorithm 1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from optuna_nas.search.deduplication import unknown
from optuna_nas.search.encoding import Encoding, Params
from optuna_nas.search.population import Individual, Population
from optuna_nas.search.selection import tournament
from optuna_nas.search.strategy import Memory, Proposal, Request
from optuna_nas.space.decisions import Value


@dataclass(frozen=True)
class EvolutionSettings:
    """How evolution proceeds.

    Attributes:
        tournament_size: Members drawn, with replacement, to find a parent.
        crossover_probability: How often a child has two parents, before it is mutated.
        deduplicate: Whether what is known already is drawn anew.
    """

    tournament_size: int
    crossover_probability: float = 0.0
    deduplicate: bool = True


class RegularizedEvolution:
    """A `Strategy`: the best of a random few of the youngest becomes a parent.

    Args:
        population_size: Number of individuals that can become parents.
        n_startup: Random candidates before evolution begins; any that finished count.
        settings: How evolution proceeds.
    """

    def __init__(self, population_size: int, n_startup: int, settings: EvolutionSettings) -> None:
        self.population = Population(population_size)
        self._n_startup = n_startup
        self._settings = settings
        self._observed = 0

    def observe(self, individuals: Sequence[Individual], memory: Memory) -> None:
        """Let in what can be a parent; failures are only known to the archive."""
        able = [individual for individual in individuals if not individual.failed]
        self._observed += len(able)
        for individual in able[-self.population.capacity :]:
            self.population.add(individual)

    def propose(self, request: Request, memory: Memory) -> Proposal:
        """The next candidate: random at first, later the child of a tournament's winner."""

        def draw() -> dict[str, Value]:
            if self._observed < self._n_startup:
                candidate = memory.encoding.random(request.domains, request.rng)
            else:
                free = request.domains.keys()
                candidate = _child(self.population, memory.encoding, self._settings, free, rng)
            return {**candidate, **request.fixed}

        rng = request.rng
        if not self._settings.deduplicate:
            return Proposal(draw())
        return Proposal(unknown(draw, request, memory, walk=self._observed >= self._n_startup))


def _child(
    population: Population,
    encoding: Encoding,
    settings: EvolutionSettings,
    free: Collection[str],
    rng: np.random.Generator,
) -> dict[str, Value]:
    parent = tournament(population, settings.tournament_size, rng)
    params: Params = parent.params
    if settings.crossover_probability > 0 and rng.random() < settings.crossover_probability:
        other = tournament(population, settings.tournament_size, rng)
        params = encoding.crossover(params, other.params, rng)
    child = encoding.mutate(params, parent.domains, free, rng)
    return dict(params) if child is None else child
