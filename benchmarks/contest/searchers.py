"""Searchers that can be asked for an architecture and told how good it is: Optuna's and others'."""

from __future__ import annotations

import random
from typing import Protocol

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from contest.task import Observation, Params, Task
from optuna_nas.space import SearchSpace
from optuna_nas.space.decisions import Value


class Searcher(Protocol):
    """One search under way."""

    def ask(self) -> Params:
        """The next architecture, by its decisions."""

    def tell(self, observation: Observation) -> None:
        """What came of it."""


class OptunaSearcher:
    """A study in memory; the objective asks for the decisions of the space.

    Args:
        task: Gives the directions.
        space: Asks the trials.
        sampler: Any sampler.
    """

    def __init__(self, task: Task, space: SearchSpace, sampler: BaseSampler) -> None:
        self._study = optuna.create_study(directions=task.directions, sampler=sampler)
        self._space = space

    def ask(self) -> Params:
        self._trial = self._study.ask()
        return self._space.suggest(self._trial)

    def tell(self, observation: Observation) -> None:
        if observation.failed:
            self._study.tell(self._trial, state=TrialState.FAIL)
            return
        if observation.violation is not None:
            self._trial.set_constraint("supported", observation.violation)
        self._study.tell(self._trial, observation.values)


class SyneTuneSearcher:
    """Syne Tune's regularised evolution, its searcher without its tuner; knows no constraints."""

    def __init__(self, task: Task, space: SearchSpace, seed: int) -> None:
        from syne_tune.config_space import choice
        from syne_tune.optimizer.schedulers.multiobjective import (
            multi_objective_regularized_evolution as several,
        )
        from syne_tune.optimizer.schedulers.searchers import regularized_evolution as single

        np.random.seed(seed)  # noqa: NPY002 - its random configurations come from the global state
        domains = {name: choice(values) for name, values in categories(space).items()}
        self._signs = [-1.0 if d == "maximize" else 1.0 for d in task.directions]
        # Without `points_to_evaluate` it begins with the middle of each domain.
        if len(self._signs) == 1:
            searcher = single.RegularizedEvolution
        else:
            searcher = several.MultiObjectiveRegularizedEvolution
        self._searcher = searcher(domains, points_to_evaluate=[], random_seed=seed)
        self._number = 0

    def ask(self) -> Params:
        self._config: Params = self._searcher.suggest()
        return self._config

    def tell(self, observation: Observation) -> None:
        if not observation.failed:
            losses = [s * v for s, v in zip(self._signs, observation.values, strict=True)]
            told = losses if len(losses) > 1 else losses[0]
            self._searcher.on_trial_complete(self._number, self._config, told)
        self._number += 1


class PyGloveSearcher:
    """PyGlove's regularised evolution; one objective."""

    def __init__(self, _task: Task, space: SearchSpace, seed: int) -> None:
        import pyglove as pg

        random.seed(seed)  # its mutations come from the global state
        self._categories = categories(space)
        self._names = list(self._categories)
        template = pg.template(
            pg.List([pg.oneof(list(values)) for values in self._categories.values()])
        )
        self._decode = template.decode
        self._algorithm = pg.evolution.regularized_evolution(seed=seed)
        self._algorithm.setup(template.dna_spec())

    def ask(self) -> Params:
        self._dna = self._algorithm.propose()
        return dict(zip(self._names, self._decode(self._dna), strict=True))

    def tell(self, observation: Observation) -> None:
        self._algorithm.feedback(self._dna, observation.values[0])


def categories(space: SearchSpace) -> dict[str, list[Value]]:
    """The values of each decision of a flat space."""
    return {name: list(domain.values()) for name, domain in space.distributions().items()}
