"""Which values an Optuna study proposes for the next trial of Keras Tuner."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from keras_nas._keras_tuner import keras_tuner
from keras_nas.distributions import distribution_of, suggest, walk
from keras_nas.drafts import Drafts
from keras_nas.hyperparameters import declare, values_of
from keras_nas.project_study import StudyArgumentError, check_distributions
from optuna_nas._optuna import FAILURE, fixed_by_sampler, frozen_of, planned_params
from optuna_nas.space import SearchSpace

# Draws of the sampler, and after them at random, before a space is taken for exhausted.
_COLLISIONS, _RANDOM_DRAWS = 20, 500

Key = frozenset[tuple[str, Any]]


class Proposals:
    """Asks a study for values that nobody tried in it.

    Args:
        drafts: The study, as one in which only the kept trials are stored.
        study: The study itself.
        space: The declared space of the hypermodel, if it has one.
        seed: Of the values drawn when the sampler only proposes what was tried.
    """

    def __init__(
        self, drafts: Drafts, study: Study, space: SearchSpace | None, seed: int | None
    ) -> None:
        self._drafts = drafts
        self._study = study
        self._space = space
        self._random = RandomSampler(seed=seed)
        self._tried: set[Key] = set()
        self._counted: set[int] = set()
        self._exhausted: tuple[int, tuple[str, ...]] | None = None
        declared = keras_tuner.HyperParameters()
        if space is not None:
            declare(space, declared)
        self.decisions = {hyperparameter.name: hyperparameter for hyperparameter in declared.space}
        """Hyperparameters of the declared space, by name."""

    def check(self, hyperparameters: Any) -> None:
        """Check that given hyperparameters do not contradict the declared space.

        Raises:
            StudyArgumentError: One has another range than the decision of its name.
        """
        for one in hyperparameters.space if hyperparameters else ():
            decision = self.decisions.get(one.name)
            if decision is not None and distribution_of(one) != distribution_of(decision):
                raise StudyArgumentError(
                    f"hyperparameters: expected {one.name!r} as the declared space has it, got "
                    f"{one}. Change the space, which decides it.",
                    one,
                )

    def next(
        self, space: Sequence[Any], attributes: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]] | None:
        """Start a trial of the study with values that were not tried.

        What waits in the study is taken whether it was tried or not: somebody asked for it. It
        fails, with a warning, where it was enqueued with values that hyperparameters can't have.

        Args:
            space: ``HyperParameters.space``.
            attributes: User attributes of the trial.

        Returns:
            The trial's number and ``HyperParameters.values``; None where the space is exhausted.

        Raises:
            StudyMismatchError: A hyperparameter has other values than in the study.
        """
        trials = self._study.get_trials(deepcopy=False)
        tried = self._tried_params(trials)
        situation = len(tried), tuple(hyperparameter.name for hyperparameter in space)
        waiting = any(trial.state == TrialState.WAITING for trial in trials)
        if (self._drafts.stopped or situation == self._exhausted) and not waiting:
            return None
        # Where some values are fixed by the sampler, nobody else may draw them.
        other = None if fixed_by_sampler(self._study) else self._random
        for draw in range(_COLLISIONS + _RANDOM_DRAWS):
            trial = self._drafts.ask(None if draw < _COLLISIONS else other)
            if not self._drafts.is_draft(trial):
                if (values := self._suggest_enqueued(trial, space)) is None:
                    continue
                return self._drafts.keep(trial, attributes), values
            values = self._suggest(trial, space)
            if _key(trial.params) not in tried:
                return self._keep(trial, attributes), values
            self._drafts.drop()
            if not trial.params:
                break  # nothing to choose, so nothing else to propose
        self._exhausted = situation
        return None

    def free(self, space: Sequence[Any]) -> list[Any]:
        """Hyperparameters that are no decisions of the declared space."""
        return [hp for hp in space if hp.name not in self.decisions]

    def _suggest(self, trial: optuna.Trial, space: Sequence[Any]) -> dict[str, Any]:
        values = {}
        if self._space is not None:
            values = values_of(self._space, self._space.suggest(trial))
        return walk(self.free(space), lambda hp, name: suggest(trial, name, hp), values)

    def _suggest_enqueued(self, trial: optuna.Trial, space: Sequence[Any]) -> dict[str, Any] | None:
        """Values of a trial that waited; None where it was enqueued with impossible ones."""
        planned = planned_params(frozen_of(trial))
        try:
            values = self._suggest(trial, space)
        except ValueError as error:
            message = (
                f"trial {trial.number}: expected values of the hyperparameters, got {planned} in a "
                f"trial that was enqueued ({error}). It failed; enqueue another one."
            )
            warnings.warn(message, stacklevel=2)
            trial.set_user_attr(FAILURE, message)
            self._drafts.study.tell(trial.number, state=TrialState.FAIL)
            return None
        # What comes up only while the model is built finds its value there.
        known = {hyperparameter.name for hyperparameter in space} | self.decisions.keys()
        return values | {name: value for name, value in planned.items() if name not in known}

    def _keep(self, trial: optuna.Trial, attributes: Mapping[str, Any]) -> int:
        distributions = trial.distributions
        try:
            return self._drafts.keep(trial, attributes)
        except ValueError:
            check_distributions(self._study, distributions)
            raise

    def _tried_params(self, trials: Sequence[FrozenTrial]) -> set[Key]:
        unfinished = set()
        for trial in trials:
            if not trial.state.is_finished():
                unfinished.add(_key(planned_params(trial)))
            elif trial.number not in self._counted:
                self._counted.add(trial.number)
                self._tried.add(_key(trial.params))
        return self._tried | unfinished


def _key(params: Mapping[str, Any]) -> Key:
    return frozenset(params.items())
