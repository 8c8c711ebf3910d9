"""`OptunaOracle`: an Optuna study in the place of a search algorithm of Keras Tuner."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial

from keras_nas.binding import StudyMismatchError
from keras_nas.outcomes import directions_of, front, objectives_in
from keras_nas.patched_oracle import PatchedOracle, synchronized
from keras_nas.project_study import open_study
from keras_nas.study_trials import StudyTrials
from keras_nas.trial_conversion import ORACLE_STATE
from keras_nas.trial_reports import CONSTRAINT_PREFIX, EPOCH_PREFIX, KNOWN_PREFIX, split
from keras_nas.workers import Workers, is_chief, is_worker
from optuna_nas.space import SearchSpace

__all__ = ["CONSTRAINT_PREFIX", "EPOCH_PREFIX", "KNOWN_PREFIX", "OptunaOracle"]


class OptunaOracle(PatchedOracle):
    """A Keras Tuner oracle that asks an Optuna study for values and tells it what they gave.

    - Any sampler, any storage, any pruner of Optuna's; directions are those of the objectives, and
      several objectives are a Pareto front, not Keras Tuner's sum.
    - Each trial of Keras Tuner is one of the study. A failed one is FAIL there, with the reason; a
      retry goes on with the same trial; a pruned one is COMPLETED for Keras Tuner and PRUNED for
      Optuna. Hyperparameters that come up while a model is built join the trial.
    - Values that anybody tried in the study are not tried again. The search ends when nothing else
      is found, or after `max_trials` of this project, whoever else adds trials to the study.
    - Reloaded, the oracle finds its trials in the storage again; a study in memory is rebuilt from
      the project's folder. With ``overwrite=True`` a tuner starts a new project. What a storage
      holds is never deleted: the study stays, its earlier trials are learned from and not
      repeated. Take another `study_name` to begin with nothing.

    A tuner reports epochs, values known before training and violated constraints by
    ``update_trial``, under `EPOCH_PREFIX`, `KNOWN_PREFIX` and `CONSTRAINT_PREFIX`; the answer's
    status is ``STOPPED`` where the trial need not go on. `keras_nas.OptunaTuner` does.

    In Keras Tuner's distributed mode the study lives with the chief; the oracle of a worker has an
    empty one. A worker shows that it lives by calling ``create_trial`` while it has a trial. One
    that did so and falls silent is taken for dead, and its trial goes to the next that asks.

    Args:
        objective: As for any oracle.
        max_trials: Most trials of this project; None: until the space is exhausted.
        study: An existing study, in place of `storage` and `study_name`.
        sampler: An Optuna sampler; None: that of `study`, or Optuna's default.
        pruner: An Optuna pruner; None: that of `study`, or none.
        storage: Optuna storage in which the study is made, or found again.
        study_name: Its name there, by which it is found again.
        space: The declared space of a `NASHyperModel`: then the study is asked for its decisions,
            with the distributions of any other study of that space.
        hyperparameters: As for any oracle.
        allow_new_entries: As for any oracle.
        tune_new_entries: As for any oracle.
        seed: Of the default sampler, and of the values drawn where a sampler only proposes what was
            tried; 0 is a seed.
        max_retries_per_trial: As for any oracle.
        max_consecutive_failed_trials: As for any oracle.
        patience: Seconds of silence after which a worker is taken for dead.

    Attributes:
        study: The Optuna study.

    Raises:
        StudyArgumentError: Arguments do not go together.
        StudyMismatchError: The study has other directions or objectives.
        SpaceMismatchError: The study was made with another space.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        study: Study | None = None,
        sampler: BaseSampler | None = None,
        pruner: BasePruner | None = None,
        storage: str | BaseStorage | None = None,
        study_name: str | None = None,
        space: SearchSpace | None = None,
        hyperparameters: Any = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        seed: int | None = None,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        patience: float = 60.0,
    ) -> None:
        self._workers = Workers(patience)
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self._objectives = objectives_in(self.objective)
        if is_worker():
            study, storage, study_name = None, None, None
        self.study = open_study(
            self._objectives,
            study=study,
            storage=storage,
            study_name=study_name,
            sampler=sampler,
            pruner=pruner,
            seed=seed,
            space=space,
        )
        self._trials = StudyTrials(self.study, self.objective, space, seed)
        self._trials.proposals.check(hyperparameters)

    # --- trials of the study ---------------------------------------------------------------------

    def optuna_trial(self, trial_id: str) -> FrozenTrial:
        """The trial of the study that belongs to one of Keras Tuner, by its id.

        Raises:
            KeyError: There is none.
        """
        return self._trials.frozen(trial_id)

    def front(self) -> list[Any]:
        """The project's trials on its Pareto front, best in the first objective first.

        With one objective: the best, and those that are as good.
        """
        ids = front(self._trials.outcomes, directions_of(self._objectives))
        return [self.trials[trial_id] for trial_id in ids]

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """The best trials; with several objectives, those on the Pareto front first.

        Failed ones and those that violate a constraint are left out, for they have no model.
        """
        outcomes = self._trials.outcomes
        trials = [
            trial
            for trial_id, trial in self.trials.items()
            if trial.status == "COMPLETED"
            and trial_id in outcomes
            and not outcomes[trial_id].violation
        ]
        trials.sort(key=lambda trial: trial.score, reverse=self.objective.direction == "max")
        if len(self._objectives) > 1:
            first = self.front()
            trials = [*first, *(trial for trial in trials if trial not in first)]
        return trials[:num_trials]

    @synchronized
    def interrupt(self) -> None:
        """Put all running trials into the queue, of Keras Tuner and of the study."""
        for tuner_id in list(self.ongoing_trials):
            self._hand_on(tuner_id)
        for trial_id in self._retry_queue:
            self._trials.pause(trial_id)
        self.save()

    # --- what tuners call ------------------------------------------------------------------------

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """See `keras_tuner.Oracle`."""
        values = self._trials.propose(trial_id, self.hyperparameters.space)
        if values is None:
            return {"status": "STOPPED"}
        return {"status": "RUNNING", "values": values}

    @synchronized
    def create_trial(self, tuner_id: str) -> Any:
        """See `keras_tuner.Oracle`.

        While other workers still have trials, one for which there is none left is told to wait: it
        may yet be needed for those.
        """
        if tuner_id in self.ongoing_trials:
            self._workers.beat(tuner_id)
            return self.ongoing_trials[tuner_id]
        self._workers.heard(tuner_id)
        for silent in self._workers.dead(self.ongoing_trials):
            self._hand_on(silent)
        trial = super().create_trial(tuner_id)
        if trial.status == "RUNNING":
            self._trials.begin(trial)
            self._write_sidecar(trial.trial_id)
        elif trial.status == "STOPPED" and is_chief() and self.ongoing_trials:
            trial.status = "IDLE"
            self.tuner_ids.add(tuner_id)
        return trial

    @synchronized
    def update_trial(self, trial_id: str, metrics: Mapping[str, Any], step: float = 0) -> Any:
        """See `keras_tuner.Oracle`; what has a prefix of this module is the study's."""
        tuner_id = self._tuner_of(trial_id)
        if tuner_id is not None:
            self._workers.heard(tuner_id)
        reports, rest = split(metrics)
        if not reports:
            return super().update_trial(trial_id, rest, step)
        # Whoever reports a trial that is over was taken for dead, and another one ended it.
        stopped = tuner_id is None or self._trials.report(trial_id, reports, int(step)).stopped
        answer = copy.copy(self.trials[trial_id])
        answer.status = "STOPPED" if stopped else "RUNNING"
        return answer

    @synchronized
    def end_trial(self, trial: Any) -> None:
        """See `keras_tuner.Oracle`."""
        tuner_id = self._tuner_of(trial.trial_id)
        if tuner_id is None:
            return  # it was handed on, and another worker ended it
        self._workers.heard(tuner_id)
        stored = self.trials[trial.trial_id]
        try:
            super().end_trial(trial)
        except Exception as error:
            # Too many failures, new entries where none are allowed, no value of the objective.
            stored.status = "FAILED"
            stored.message = stored.message or f"{type(error).__name__}: {error}"
            if trial.trial_id not in self.end_order:
                self.end_order.append(trial.trial_id)
            self.ongoing_trials.pop(tuner_id, None)
            self._tell(stored)
            raise
        if stored.status != "INVALID":  # which is tried again
            self._tell(stored)
            if self.verbose and stored.status == "COMPLETED":
                self._say_what_ended(trial.trial_id)

    def score_trial(self, trial: Any) -> None:
        """See `keras_tuner.Oracle`; several objectives have Keras Tuner's sum, in its order."""
        values = self._trials.score(trial)
        trial.score = float(self.objective.get_value(values))
        steps = [
            trial.metrics.get_best_step(objective.name)
            for objective in self._objectives
            if trial.metrics.exists(objective.name)
        ]
        trial.best_step = (steps[0] if steps else 0) or 0

    def _tell(self, trial: Any) -> None:
        self._trials.end(trial, self._tuned)
        self._save_trial(trial)
        self._write_sidecar(trial.trial_id)
        self.save()

    def _say_what_ended(self, trial_id: str) -> None:
        """Print why a trial was not trained to its end; Keras Tuner printed its score."""
        constraints = self.optuna_trial(trial_id).constraints
        violated = [name for name, value in constraints.items() if value > 0]
        if violated:
            print(f"Not trained: {', '.join(violated)} over the limit")
        elif self._trials.outcomes[trial_id].values is None:
            print("Pruned")

    @property
    def _tuned(self) -> list[Any] | None:
        """The hyperparameters in the order they came up; a worker's are in another."""
        return self.hyperparameters.space if self.tune_new_entries else None

    # --- workers ---------------------------------------------------------------------------------

    @property
    def tuner_ids(self) -> set[str]:
        """Workers for whose end the chief waits."""
        for silent in [one for one in self._tuner_ids if self._workers.is_silent(one)]:
            if silent not in self.ongoing_trials:
                self._tuner_ids.discard(silent)
        return self._tuner_ids

    @tuner_ids.setter
    def tuner_ids(self, ids: Iterable[str]) -> None:
        self._tuner_ids = set(ids)

    def _tuner_of(self, trial_id: str) -> str | None:
        for tuner_id, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                return str(tuner_id)
        return None

    def _hand_on(self, tuner_id: str) -> None:
        """Take a worker's trial from it, for the next one that asks."""
        trial = self.ongoing_trials.pop(tuner_id)
        self._tuner_ids.discard(tuner_id)
        self._retry_queue.append(trial.trial_id)

    # --- saving ----------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """See `keras_tuner.Oracle`."""
        mine = {"project": self._trials.project, "objectives": self._described_objectives()}
        return {**super().get_state(), ORACLE_STATE: mine}

    def _described_objectives(self) -> list[list[str]]:
        return [[one.name, one.direction] for one in self._objectives]

    def set_state(self, state: Mapping[str, Any]) -> None:
        """See `keras_tuner.Oracle`; the state may be that of another oracle.

        Raises:
            StudyMismatchError: The project was searched for other objectives.
        """
        if ORACLE_STATE in state:
            mine = self._described_objectives()
            if (stored := state[ORACLE_STATE]["objectives"]) != mine:
                raise StudyMismatchError(
                    f"objective: expected {_words(stored)}, of which the project in "
                    f"{self._project_dir} has values, got {_words(mine)}. Give the same, another "
                    "project_name, or overwrite=True to begin anew.",
                    mine,
                )
            self._trials.project = state[ORACLE_STATE]["project"]
        super().set_state(state)

    def reload(self) -> None:
        """See `keras_tuner.Oracle`; trials of the project that the study lacks are added to it."""
        super().reload()
        ordered = [one for one in self.start_order if one in self.trials]
        ordered += sorted(set(self.trials) - set(ordered))
        self._trials.restore([self.trials[one] for one in ordered], self._folder, self._tuned)
        self.save()

    def _write_sidecar(self, trial_id: str) -> None:
        self._trials.write_sidecar(trial_id, self._folder(trial_id))

    def _folder(self, trial_id: str) -> Path:
        return Path(self._get_trial_dir(trial_id))


def _words(objectives: Iterable[Iterable[str]]) -> str:
    return " and ".join(" ".join(one) for one in objectives)
