"""Aging evolution (Real et al. 2019, algorithm 1) and its variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from optuna_nas.search.candidates import (
    Candidate,
    Measure,
    best_by_score,
    check_known_objectives,
    distinct,
    known_losses,
    rarest,
)
from optuna_nas.search.deduplication import unknown
from optuna_nas.search.density import rarity
from optuna_nas.search.encoding import Params
from optuna_nas.search.mutation import mutate
from optuna_nas.search.population import Individual, Population
from optuna_nas.search.removal import oldest
from optuna_nas.search.selection import tournament
from optuna_nas.search.strategy import Memory, Proposal, Request


@dataclass(frozen=True)
class EvolutionSettings:
    """How evolution proceeds.

    Attributes:
        tournament_size: Members drawn to find a parent.
        replacement: Whether they are drawn with replacement.
        removal: Who leaves a full population; see `optuna_nas.search.removal`.
        crossover_probability: How often a child has two parents, before it is mutated.
        crossover: In which way; see `optuna_nas.space.crossover`.
        mutation_rate: Probability for each decision to change; None changes exactly one.
        deduplicate: Whether what is known already is drawn anew.
        score: Says of random candidates which are worth a start; larger is better.
        known_objectives: Objectives that need no training, by number.
        n_candidates: How many candidates a score or the known objectives choose from.
    """

    tournament_size: int
    replacement: bool = True
    removal: Callable[[Population], int] = oldest
    crossover_probability: float = 0.0
    crossover: str = "uniform"
    mutation_rate: float | None = None
    deduplicate: bool = True
    score: Measure | None = None
    known_objectives: Mapping[int, Measure] = field(default_factory=dict)
    n_candidates: int = 32


class RegularizedEvolution:
    """A `Strategy`: the best of a random few of a population becomes a parent.

    With known objectives, parents are drawn from the population's front instead, and one child of
    many, both where the front is thin (LEMONADE, Elsken et al. 2019, section 4).

    Args:
        population_size: Number of individuals that can become parents.
        n_startup: Random candidates before evolution begins; any that finished count.
        settings: How evolution proceeds.
        maximize: Whether each objective is maximised; only needed with known objectives.

    Raises:
        ValueError: If the known objectives are not some, but not all, of the objectives.
    """

    def __init__(
        self,
        population_size: int,
        n_startup: int,
        settings: EvolutionSettings,
        maximize: tuple[bool, ...] = (),
    ) -> None:
        check_known_objectives(settings.known_objectives, len(maximize))
        self.population = Population(population_size, settings.removal)
        self._n_startup = n_startup
        self._settings = settings
        self._maximize = maximize
        self._observed = 0

    def observe(self, individuals: Sequence[Individual], memory: Memory) -> None:
        """Let in what can be a parent; failures are only known to the archive."""
        able = [individual for individual in individuals if not individual.failed]
        self._observed += len(able)
        self.population.add(*able)

    def propose(self, request: Request, memory: Memory) -> Proposal:
        """The next candidate: random at first, later a child."""
        starting = self._observed < self._n_startup

        def draw() -> Candidate:
            if starting:
                candidate = memory.encoding.random(request.domains, request.rng)
            else:
                candidate = self._child(self._winner(request.rng), request, memory)
            return {**candidate, **request.fixed}

        chosen = None
        if starting and self._settings.score is not None:
            chosen = best_by_score(self._settings.score, self._distinct(draw, memory))
        elif not starting and self._settings.known_objectives:
            chosen = self._rare_child(request, memory)
        if chosen is None:
            deduplicate = self._settings.deduplicate
            chosen = unknown(draw, request, memory, walk=not starting) if deduplicate else draw()
        return Proposal(chosen)

    def _distinct(self, draw: Callable[[], Candidate], memory: Memory) -> list[Candidate]:
        settings = self._settings
        return distinct(draw, settings.n_candidates, memory, unknown=settings.deduplicate)

    def _winner(self, rng: np.random.Generator) -> Individual:
        size, replacement = self._settings.tournament_size, self._settings.replacement
        return tournament(self.population, size, rng, replacement=replacement)

    def _child(self, parent: Individual, request: Request, memory: Memory) -> Candidate:
        settings, rng = self._settings, request.rng
        params: Params = parent.params
        if settings.crossover_probability > 0 and rng.random() < settings.crossover_probability:
            other = self._winner(rng).params
            params = memory.encoding.crossover(params, other, rng, settings.crossover)
        free, rate = request.domains.keys(), settings.mutation_rate
        child = mutate(params, parent.domains, free, memory.encoding, rng, rate)
        return dict(params) if child is None else child

    def _rare_child(self, request: Request, memory: Memory) -> Candidate | None:
        """One child of many; None where nothing is known of the front or of the children."""
        known = self._settings.known_objectives
        ranks = self.population.ranks
        front = [
            (member, [member.fitness.losses[index] for index in known])
            for member, rank in zip(self.population.members, ranks.tolist(), strict=True)
            if rank == 0 and member.fitness.comparable
        ]
        front = [(member, losses) for member, losses in front if np.isfinite(losses).all()]
        if not front:
            return None
        losses = np.array([losses for _, losses in front])  # (front, known objectives)
        chances = rarity(losses, losses[:0])

        def draw() -> Candidate:
            parent, _ = front[int(request.rng.choice(len(front), p=chances))]
            child = self._child(parent, request, memory)
            new = {
                name: domain.sample(request.rng)
                for name, domain in request.domains.items()
                if name not in child
            }
            return {**child, **new, **request.fixed}

        children = self._distinct(draw, memory)
        return rarest(children, known_losses(known, self._maximize, children), losses, request.rng)
