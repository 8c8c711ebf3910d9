"""What a study's trials mean to a search strategy, kept up to date as trials come in."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import (
    note_of,
    planned_params,
    predicted_values,
    record_of,
    violation_of,
)
from optuna_nas.samplers._domains import domain_of, hashable_params, same
from optuna_nas.search import Encoding, Fitness, Individual, Memory, Strategy
from optuna_nas.search.encoding import Params
from optuna_nas.search.fitness import Evidence, loss_of
from optuna_nas.search.population import Age
from optuna_nas.space.decisions import Domain


class StudyHistory:
    """A strategy and what it may know of one study.

    All of it follows from the study's trials alone, whoever ran them. Each finished trial is read
    once.

    Args:
        strategy: Observes the finished trials.
        directions: One a value.
        encoding: How the trials' parameters are compared.
    """

    def __init__(
        self, strategy: Strategy, directions: Sequence[StudyDirection], encoding: Encoding
    ) -> None:
        self.strategy = strategy
        self.memory = Memory(encoding)
        self._maximize = maximized(directions)
        self._known: dict[str, tuple[Age, BaseDistribution, Domain]] = {}
        self._proposed: set[int] = set()
        # Unfinished trials by number, with the parameters they had when last looked at.
        self._open: dict[int, Params] = {}
        self._next = 0  # number of the first trial not seen yet

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The latest distribution of every parameter a finished trial had."""
        return {name: distribution for name, (_, distribution, _) in self._known.items()}

    def domain(self, name: str, distribution: BaseDistribution) -> Domain:
        """The domain of a distribution, from memory where it is the latest of its name."""
        known = self._known.get(name)
        if known is not None and same(known[1], distribution):
            return known[2]
        return domain_of(distribution)

    def propose(self, number: int, params: Params) -> None:
        """Note what a running trial will be, before its parameters reach the storage."""
        self._proposed.add(number)
        self._start(number, params)

    def update(self, trials: Sequence[FrozenTrial], *, current: int) -> None:
        """Take in what is new.

        Args:
            trials: All trials of the study, by number; perhaps not the latest state of each.
            current: Number of the trial in whose name this happens; it is not news.
        """
        finished = []
        for number in [*self._open, *range(self._next, len(trials))]:
            if number >= len(trials):  # another thread has seen more
                continue
            trial = trials[number]
            if trial.state.is_finished():
                self._open.pop(number, None)
                self._proposed.discard(number)
                finished.append(trial)
                continue
            planned = planned_params(trial)
            if self._open.get(number) == planned:
                continue
            self._open[number] = planned
            if number != current and number not in self._proposed:
                self._start(number, hashable_params(planned))
        self._next = max(self._next, len(trials))
        if finished:
            self._absorb(finished)

    def _start(self, number: int, params: Params) -> None:
        self.memory.running[number] = params
        self.memory.archive.start(number, self._identity(params))

    def _absorb(self, trials: list[FrozenTrial]) -> None:
        individuals = []
        for trial in sorted(trials, key=_age):
            self.memory.running.pop(trial.number, None)
            if not trial.params:  # it failed before it asked for any
                self.memory.archive.drop(trial.number)
                continue
            params = hashable_params(trial.params)
            identity = self._identity(params, record_of(trial).canonical_id)
            self.memory.archive.finish(trial.number, identity)
            if trial.state != TrialState.FAIL:
                # A failed trial may have stopped before it asked for all of its parameters.
                self.memory.encoding.learn(params)
            age = _age(trial)
            domains, fitness = self._domains_of(trial, age), self._fitness(trial)
            individuals.append(Individual(age, params, domains, fitness, identity, note_of(trial)))
        self.strategy.observe(individuals, self.memory)

    def _identity(self, params: Params, canonical_id: str | None = None) -> Hashable:
        return next(self.memory.encoding.identities(params, canonical_id))

    def _domains_of(self, trial: FrozenTrial, age: Age) -> dict[str, Domain]:
        """The domains a trial had, which from now on are the known ones, unless it is old."""
        domains = {}
        for name, distribution in trial.distributions.items():
            domains[name] = domain = self.domain(name, distribution)
            known = self._known.get(name)
            if known is None or known[0] < age:
                self._known[name] = (age, distribution, domain)
        return domains

    def _fitness(self, trial: FrozenTrial) -> Fitness:
        violation = violation_of(trial)
        if trial.state == TrialState.FAIL:
            return Fitness((), violation, Evidence.FAILURE)
        values: Sequence[float] | None = trial.values
        if trial.state == TrialState.PRUNED:
            values = predicted_values(trial)
        if values is not None and len(values) == len(self._maximize):
            losses = (
                loss_of(value, maximize=maximize)
                for value, maximize in zip(values, self._maximize, strict=True)
            )
            return Fitness(tuple(losses), violation)
        if trial.intermediate_values:
            step = max(trial.intermediate_values)
            report = loss_of(trial.intermediate_values[step], maximize=self._maximize[0])
            return Fitness((-float(step), report), violation, Evidence.REPORT)
        return Fitness((), violation, Evidence.NOTHING)


def maximized(directions: Sequence[StudyDirection]) -> tuple[bool, ...]:
    """Whether each objective is maximised."""
    return tuple(direction == StudyDirection.MAXIMIZE for direction in directions)


def _age(trial: FrozenTrial) -> Age:
    completed = trial.datetime_complete
    return (0.0 if completed is None else completed.timestamp()), trial.number
