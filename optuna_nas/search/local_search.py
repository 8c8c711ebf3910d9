"""Local search with restarts (White et al. 2020, https://arxiv.org/abs/2005.02960)."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_nas.search.deduplication import unknown
from optuna_nas.search.front import Front
from optuna_nas.search.population import Individual
from optuna_nas.search.strategy import Memory, Proposal, Request
from optuna_nas.space.decisions import Value

# Neighbours drawn in search of one that is not known. When all of these are known, at most a few
# per cent of the neighbourhood are not: the summit is taken for a local optimum.
TRIES = 100

# Key of the note with the random candidates that begin a climb, save the first of all.
CLIMB = "climb"


class LocalSearch:
    """A `Strategy`: climbs from the best of a few random candidates, one decision a step.

    The next candidate is a random neighbour, not known yet, of the best of the climb. A better
    neighbour becomes the best at once (first improvement), so that the whole state is which trials
    belong to the climb: those from its first random candidate on. When nothing new is found around
    the best, the next climb begins.

    With several objectives the climb keeps all that are not dominated and looks for neighbours of
    any of them (Pareto local search, Paquete et al. 2004, with a random choice and anytime
    acceptance as in Dubois-Lacoste et al. 2015). With one objective, equally good ones are kept.

    Args:
        n_startup: Candidates that must finish before a climb leaves its random start.
    """

    def __init__(self, n_startup: int) -> None:
        self._n_startup = n_startup
        self._finished: list[Individual] = []  # oldest first
        self._begin_climb(0, 0)
        self._left = Front()

    def observe(self, individuals: Sequence[Individual], memory: Memory) -> None:
        """Take in what can be climbed upon; failures are only known to the archive."""
        able = [individual for individual in individuals if not individual.failed]
        late = self._finished and able and able[0].age < self._finished[-1].age
        self._finished += able
        if late:  # go through all again in the order of completion
            able = self._finished = sorted(self._finished, key=lambda individual: individual.age)
            self._begin_climb(0, 0)
            self._left = Front()
        for individual in able:
            self._take(individual)

    def propose(self, request: Request, memory: Memory) -> Proposal:
        """The next candidate: random at first, later a neighbour of the best."""
        if self._members < self._n_startup:
            return self._start(self._climb, request, memory)
        for _ in range(TRIES):
            neighbor = self._neighbor(request, memory)
            if neighbor is None:
                break
            if not memory.archive.knows_any(memory.encoding.identities(neighbor)):
                return Proposal(neighbor)
        return self._start(self._climb + 1, request, memory)

    def _begin_climb(self, climb: int, first: int) -> None:
        self._climb = climb
        self._first = first  # number of the trial it began with
        self._members = 0
        self._front = Front()

    def _take(self, individual: Individual) -> None:
        number = individual.age[1]
        climb = (individual.note or {}).get(CLIMB, 0)
        if climb > self._climb:
            self._left = self._front
            self._begin_climb(climb, number)
        # Neighbours of an earlier summit may finish when a climb has begun. They are better than
        # its random candidates and would lead it back, unless they are better than the summit too.
        straggler = climb < self._climb and number < self._first
        if not straggler or self._left.improved_by(individual):
            self._members += 1
            self._front.add(individual)

    def _start(self, climb: int, request: Request, memory: Memory) -> Proposal:
        def draw() -> dict[str, Value]:
            candidate = {**memory.encoding.random(request.domains, request.rng), **request.fixed}
            # It drew all that may exist. Which trials are the same depends on what will.
            return {**memory.encoding.complete(candidate, {}, request.rng), **request.fixed}

        candidate = unknown(draw, request, memory, walk=True)
        return Proposal(candidate, {CLIMB: climb} if climb else None)

    def _neighbor(self, request: Request, memory: Memory) -> dict[str, Value] | None:
        rng, members = request.rng, self._front.members
        center = members[int(rng.integers(len(members)))]
        moved = memory.encoding.mutate(center.params, center.domains, request.domains.keys(), rng)
        if moved is None:
            return None
        # What is neither free nor fixed here will be as it was last (`PartialFixedSampler`).
        last = self._finished[-1].params
        taken = {name: last[name] for name in moved.keys() & last.keys() - request.domains.keys()}
        params = {**moved, **taken, **request.fixed}
        return {**memory.encoding.complete(params, request.domains, rng), **request.fixed}
