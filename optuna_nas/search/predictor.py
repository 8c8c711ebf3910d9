"""Search by a model of the objectives: propose what it expects most of."""

from __future__ import annotations

import itertools
import math
import zlib
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from optuna_nas.search.candidates import (
    Candidate,
    Measure,
    check_known_objectives,
    known_losses,
)
from optuna_nas.search.companions import Companions
from optuna_nas.search.deduplication import unknown
from optuna_nas.search.domination import crowding_distances, domination_ranks, losses_of
from optuna_nas.search.encoding import Domains, Params
from optuna_nas.search.population import Individual
from optuna_nas.search.predictor_model import Model
from optuna_nas.search.predictor_pool import Key, Pool
from optuna_nas.search.strategy import Memory, Proposal, Request
from optuna_nas.search.surrogate_columns import Features
from optuna_nas.space.decisions import Domain

T = TypeVar("T")
ExtraFeatures = Callable[[Params], Mapping[str, float]]

# The model is made anew when the history has grown by this share, or by so many individuals.
_GROWTH, _MOST = 1.2, 100
# Individuals it is then made from; those that finish afterwards are added.
_KEPT = 150
_PARENTS = 15
# Few trials deserve a thorough choice; later on, after so many individuals, a pool of this share of
# its size has to do, and the cost of a proposal stays behind that of other models.
_THOROUGH, _LATER = 200, 0.6
# Trials that are chosen at the same time choose from so many different parts of the candidates.
_LOTS = 8
# What user functions said of so many candidates is remembered.
_REMEMBERED = 10_000


@dataclass(frozen=True)
class PredictorSettings:
    """How candidates are found.

    Attributes:
        n_candidates: Candidates drawn for each proposal; fewer once there are many individuals.
        known_objectives: Objectives that are computed rather than predicted, by number.
        extra_features: Further features of a candidate.
        widen: By name of a decision: after how many individuals one more of its values is used.
    """

    n_candidates: int
    known_objectives: Mapping[int, Measure] = field(default_factory=dict)
    extra_features: ExtraFeatures | None = None
    widen: Mapping[str, int] = field(default_factory=dict)


class Predictor:
    """A `Strategy`: the candidate of which a Gaussian process expects the most improvement.

    What the model is follows from the individuals in the order of their ages. It is made anew at
    certain lengths of the history, from a part of bounded size: the better half and a thinning
    memory of the rest. In between, individuals are added to it. So the cost of a proposal is
    bounded, and a search that is resumed goes on exactly.

    Args:
        n_startup: Random candidates before there is a model; any that finished count.
        settings: How candidates are found.
        maximize: Whether each objective is maximised.

    Raises:
        ValueError: If the known objectives are not some, but not all, of the objectives.
    """

    def __init__(
        self, n_startup: int, settings: PredictorSettings, maximize: tuple[bool, ...]
    ) -> None:
        known = settings.known_objectives
        check_known_objectives(known, len(maximize))
        self._n_startup = n_startup
        self._settings = settings
        self._maximize = maximize
        self._measures = {number: _remembering(measure) for number, measure in known.items()}
        extra = settings.extra_features
        self._extra = None if extra is None else _remembering(extra)
        self._history: list[Individual] = []  # by age
        self._keys: set[Key] = set()
        self._companions = Companions()
        self._domains: dict[str, Domain] = {}
        self.refits = 0
        self._forget()

    def _forget(self) -> None:
        self._model: Model | None = None
        self._made = 0  # individuals at the last making of the model
        self._kept: list[Individual] = []  # what it was made from
        self._learned = 0  # individuals that the model knows by now

    def observe(self, individuals: Sequence[Individual], memory: Memory) -> None:
        """Keep them; models are made when one is needed."""
        for individual in individuals:
            position = bisect_left(self._history, individual.age, key=lambda member: member.age)
            if position < self._learned:  # older than some that the model knows
                self._forget()
            insort(self._history, individual, key=lambda member: member.age)
            self._domains.update(individual.domains)
            self._keys.add(frozenset(individual.params.items()))
            if not individual.failed:
                self._companions.learn(individual)

    def propose(self, request: Request, memory: Memory) -> Proposal:
        """The next candidate: random at first, later the most promising of a pool."""
        pool = Pool(request, memory, self._companions, self._admission(request))
        model = self._up_to_date(memory, request.domains)
        candidate = None if model is None else self._most_promising(model, pool)
        if candidate is not None:
            return Proposal(candidate)
        return Proposal(unknown(pool.random, request, memory, walk=False))

    def _up_to_date(self, memory: Memory, domains: Domains) -> Model | None:
        """The model of all there is; None if there is too little to learn from."""
        remade = False
        while (until := self._next()) <= len(self._history):
            self._kept = _selected(self._kept + self._history[self._made : until])
            self._made, remade = until, True
        if remade:
            self._learned = self._made
            self._model = None
            if any(not individual.failed for individual in self._kept):
                rows = [self._features_of(individual, memory, domains) for individual in self._kept]
                fitnesses = [individual.fitness for individual in self._kept]
                self._model = Model(rows, fitnesses, tuple(self._measures))
                self.refits += 1
        if self._model is None:
            return None
        for individual in self._history[self._learned :]:
            features = self._features_of(individual, memory, domains)
            self._model.add(features, individual.fitness)
        self._learned = len(self._history)
        return self._model

    def _next(self) -> int:
        """Length of the history at which the model is made anew."""
        if not self._made:
            return self._n_startup
        return min(math.floor(self._made * _GROWTH) + 1, self._made + _MOST)

    def _most_promising(self, model: Model, pool: Pool) -> Candidate | None:
        """The first in the order of expectations that is not known by another name."""
        request, memory = pool.request, pool.memory
        able = [i for i in self._kept + self._history[self._made :] if not i.failed]
        parents = _ordered(able)[: max(_PARENTS, len(able) // 5)]
        share = 1.0 if len(self._history) < _THOROUGH else _LATER
        count = math.ceil(share * self._settings.n_candidates)
        candidates = pool.candidates(count, parents, self._keys)
        known = known_losses(self._measures, self._maximize, candidates)
        rejected = set(np.flatnonzero(np.isnan(known).any(axis=1)).tolist())
        domains = {**self._domains, **request.domains}
        features = [
            None if place in rejected else self._features_of_new(candidate, memory, domains)
            for place, candidate in enumerate(candidates)
        ]
        places = [place for place, found in enumerate(features) if found is not None]
        if not places:
            return None
        under_way = [
            self._features_of_new(params, memory, domains)
            for params in memory.running.values()
            if params
        ]
        gain = model.acquisition(
            [found for found in features if found is not None],
            [found for found in under_way if found is not None],
            known[places],
            request.rng,
        )
        second_choice = None
        for position in np.argsort(-gain, kind="stable").tolist():
            candidate: Candidate = candidates[places[position]]
            if memory.archive.knows_any(memory.encoding.identities(candidate)):
                continue
            if _is_free(self._companions.existing(candidate), request.number, memory):
                return candidate
            second_choice = second_choice or candidate
        return second_choice

    def _admission(self, request: Request) -> Callable[[Params], bool]:
        """Whether a candidate has only values that are used by now (see `PredictorSettings`)."""
        used = {}
        for name, every in self._settings.widen.items():
            domain = request.domains.get(name)
            if domain is not None and math.isfinite(domain.size):
                count = 1 + len(self._history) // every
                used[name] = list(itertools.islice(domain.values(), count))
        return lambda params: all(
            name not in params or params[name] in values for name, values in used.items()
        )

    def _features_of(self, individual: Individual, memory: Memory, domains: Domains) -> Features:
        """Of a finished individual; where its extra features fail, they are missing."""
        features = memory.encoding.describe(individual.params, {**individual.domains, **domains})
        try:
            return {**features, **self._extra_of(individual.params)}
        except Exception:  # it may have failed before it had all parameters
            return features

    def _features_of_new(self, params: Params, memory: Memory, domains: Domains) -> Features | None:
        """Of a candidate; None where its extra features fail, which speaks against it."""
        features = memory.encoding.describe(params, domains)
        if self._extra is None:
            return features
        try:
            return {**features, **self._extra_of(params)}
        except ValueError:
            return None

    def _extra_of(self, params: Params) -> Features:
        values = {} if self._extra is None else self._extra(params)
        try:
            return {f"extra {name}": float(v) for name, v in values.items() if math.isfinite(v)}
        except (AttributeError, TypeError) as error:
            raise TypeError(
                f"extra_features must return a mapping of names to numbers, got {values!r}."
            ) from error


def _is_free(candidate: Params, number: int, memory: Memory) -> bool:
    """Whether no worker that chose at the same time is likely to have chosen the same.

    All of them know nearly the same, and expect the most of the same candidates. What a trial is to
    be is in the storage some time after it was chosen, one parameter after the other. Until then,
    each candidate belongs to one of `_LOTS` trials in a row.
    """
    beside = [p for other, p in memory.running.items() if abs(other - number) < _LOTS]
    if any(params and params.items() <= candidate.items() for params in beside):
        return False
    if all(beside):
        return True
    lot = zlib.crc32(repr(sorted(candidate.items())).encode())  # in all processes the same
    return lot % _LOTS == number % _LOTS


def _selected(individuals: Sequence[Individual]) -> list[Individual]:
    """At most `_KEPT`: the better half, and the others thinned evenly, in their order."""
    if len(individuals) <= _KEPT:
        return list(individuals)
    best = {id(individual) for individual in _ordered(individuals)[: _KEPT // 2]}
    others = [individual for individual in individuals if id(individual) not in best]
    # The end of each of so many equal stretches.
    places = np.linspace(0, len(others), _KEPT - len(best) + 1)[1:].astype(int) - 1
    thinned = {id(others[place]) for place in places.tolist()}
    return [i for i in individuals if id(i) in best or id(i) in thinned]


def _ordered(individuals: Sequence[Individual]) -> list[Individual]:
    """The best first: by `Fitness.key`, or by non-domination and crowding."""
    fitnesses = [individual.fitness for individual in individuals]
    if not any(f.comparable and len(f.losses) > 1 for f in fitnesses):
        return sorted(individuals, key=lambda individual: individual.fitness.key)
    ranks = domination_ranks(fitnesses)
    crowding = np.zeros(len(individuals))
    valued = np.array([fitness.comparable for fitness in fitnesses])
    for rank in np.unique(ranks[valued]).tolist():
        front = np.flatnonzero((ranks == rank) & valued)
        crowding[front] = crowding_distances(losses_of(fitnesses, front.tolist()))
    return [individuals[index] for index in np.lexsort((-crowding, ranks)).tolist()]


def _remembering(function: Callable[[Params], T]) -> Callable[[Params], T]:
    """The function, asked once for each of the latest candidates."""
    answers: dict[Key, T] = {}

    def remembered(params: Params) -> T:
        key = frozenset(params.items())
        if key not in answers:
            if len(answers) >= _REMEMBERED:
                del answers[next(iter(answers))]
            answers[key] = function(params)
        return answers[key]

    return remembered
