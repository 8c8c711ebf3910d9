"""The trials of a Keras Tuner project in an Optuna study."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from keras_nas.distributions import parameters_of
from keras_nas.drafts import Drafts
from keras_nas.metrics import METRICS
from keras_nas.outcomes import Outcome, measured_values, objectives_in
from keras_nas.project_study import check_distributions
from keras_nas.proposals import Proposals
from keras_nas.trial_conversion import (
    SIDECAR,
    all_parameters,
    failure_reason,
    finished_trial,
    frozen_trial,
    own_tie,
    read_sidecar,
    tie_by_content,
    trial_to_dict,
    with_architecture,
)
from keras_nas.trial_reports import TrialReports
from optuna_nas._optuna import (
    FAILURE,
    KERAS_TUNER,
    insert_trial,
    reopen,
    save_param,
    save_record,
    set_running,
    storage_of,
)
from optuna_nas.report.files import write_whole
from optuna_nas.space import SearchSpace

# What an objective is taken to be of a network that was rejected untrained, where nothing is known.
_NOTHING_KNOWN = {"max": 0.0, "min": 10.0}


class StudyTrials:
    """Keeps the trials of one project and those of a study in step.

    A trial of the study carries, in one attribute, the project and the id of its trial there.

    Args:
        study: The study.
        objective: The objective of the Keras Tuner oracle.
        space: The declared space of the hypermodel, if it has one.
        seed: Of the values drawn when the sampler only proposes what was tried.

    Attributes:
        project: Identity of the project.
        numbers: Numbers in the study, by trial id.
        outcomes: What ended trials came to, by trial id.
        proposals: Values for new trials.
    """

    def __init__(
        self, study: Study, objective: Any, space: SearchSpace | None, seed: int | None
    ) -> None:
        self.study = study
        self.project = uuid.uuid4().hex
        self.numbers: dict[str, int] = {}
        self.outcomes: dict[str, Outcome] = {}
        self._objective = objective
        self._objectives = objectives_in(objective)
        self._space = space
        self._drafts = Drafts(study)
        self.proposals = Proposals(self._drafts, study, space, seed)
        self._reports: dict[str, TrialReports] = {}

    # --- running ---------------------------------------------------------------------------------

    def propose(self, trial_id: str, space: Any) -> dict[str, Any] | None:
        """Start a trial of the study; returns its ``HyperParameters.values``, None without any."""
        found = self.proposals.next(space, self._tie(trial_id))
        if found is None:
            return None
        self.numbers[trial_id], values = found
        return values

    def begin(self, trial: Any) -> None:
        """Begin an attempt at a trial: its first, a retry, or after an interruption."""
        self._claim(trial)
        self._reports[trial.trial_id] = self._new_reports(trial.trial_id, time.perf_counter())

    def _claim(self, trial: Any) -> None:
        """See to it that a running trial of the study is this project's alone."""
        trial_id = trial.trial_id
        if trial_id not in self.numbers:
            found = all_parameters(trial.hyperparameters, self._space)
        else:
            frozen = self.frozen(trial_id)
            if self._is_mine(frozen) and frozen.state == TrialState.RUNNING:
                return
            waits = self._is_mine(frozen) and frozen.state == TrialState.WAITING
            if waits and set_running(self._drafts.study, frozen, True):
                return
            # Somebody else ended it, or works on it: the attempt needs a trial of its own.
            found = {name: (frozen.params[name], d) for name, d in frozen.distributions.items()}
        again = frozen_trial(TrialState.RUNNING, found, user_attrs=self._tie(trial_id))
        self.numbers[trial_id] = insert_trial(self._drafts.study, again)

    def report(
        self, trial_id: str, reports: Mapping[str, Mapping[str, float]], step: int
    ) -> TrialReports:
        """Pass on what a running trial tells."""
        taken = self._reports_of(trial_id)
        taken.take(reports, step)
        return taken

    def pause(self, trial_id: str) -> None:
        """Put a running trial back in the study's queue."""
        self._reports.pop(trial_id, None)
        frozen = self.frozen(trial_id)
        if frozen.state == TrialState.RUNNING:
            set_running(self._drafts.study, frozen, False)

    def _reports_of(self, trial_id: str) -> TrialReports:
        """What the running attempt at a trial told so far."""
        if trial_id not in self._reports:
            self._reports[trial_id] = self._new_reports(trial_id, None)
        return self._reports[trial_id]

    def _new_reports(self, trial_id: str, started: float | None) -> TrialReports:
        trial = reopen(self._drafts.study, self.numbers[trial_id])
        names = [objective.name for objective in self._objectives]
        return TrialReports(trial, names, started)

    # --- ending ----------------------------------------------------------------------------------

    def score(self, trial: Any) -> dict[str, float]:
        """Values of the objectives of a trial that completed, by name.

        A network that was rejected before training is taken for what an untrained one has.

        Raises:
            ValueError: The trial was not stopped, and an objective has no value.
        """
        reports = self._reports_of(trial.trial_id)
        values = {**reports.known, **measured_values(trial.metrics, self._objective)}
        for objective in self._objectives:
            if objective.name in values:
                continue
            if not reports.stopped:
                raise ValueError(
                    f"objective: trial {trial.trial_id} ended without a value of "
                    f"{objective.name!r}. Report it by update_trial, or name another objective."
                )
            reached = reports.best(objective)
            values[objective.name] = self._untrained(objective) if reached is None else reached
        chosen = {objective.name: values[objective.name] for objective in self._objectives}
        pruned = reports.pruned and not reports.violation
        outcome = Outcome(None if pruned else tuple(chosen.values()), reports.violation)
        self.outcomes[trial.trial_id] = outcome
        return chosen

    def _untrained(self, objective: Any) -> float:
        metric = METRICS.get(objective.name.removeprefix("val_"))
        if self._space is not None and metric is not None and metric.trained:
            return metric.untrained(self._space.classes)
        index = self._objectives.index(objective)
        seen = [outcome.values[index] for outcome in self.outcomes.values() if outcome.values]
        if not seen:
            return _NOTHING_KNOWN[objective.direction]
        return max(seen) if objective.direction == "min" else min(seen)

    def end(self, trial: Any, space: Sequence[Any] | None) -> None:
        """Tell the study how a trial ended.

        Args:
            trial: The trial of Keras Tuner, ``COMPLETED`` or ``FAILED``.
            space: Hyperparameters of the project. Those that came up while the model was built
                join the trial. None: they are no parameters.
        """
        frozen = self.frozen(trial.trial_id)
        if frozen.state == TrialState.WAITING:
            set_running(self._drafts.study, frozen, True)
        if not frozen.state.is_finished():
            try:
                self._add_params(frozen, space or (), trial.hyperparameters.values)
            finally:
                self._tell(trial)
        self._reports.pop(trial.trial_id, None)
        self.outcomes[trial.trial_id] = Outcome.of(self.frozen(trial.trial_id))

    def _add_params(
        self, frozen: FrozenTrial, space: Sequence[Any], values: Mapping[str, Any]
    ) -> None:
        found = parameters_of(self.proposals.free(space), values)
        new = {name: found[name] for name in found if name not in frozen.params}
        try:
            for name, (value, distribution) in new.items():
                save_param(self._drafts.study, frozen, name, value, distribution)
        except ValueError:
            check_distributions(self.study, {name: one for name, (_, one) in new.items()})
            raise

    def _tell(self, trial: Any) -> None:
        study, number = self._drafts.study, self.numbers[trial.trial_id]
        reports = self._reports_of(trial.trial_id)
        running = reopen(study, number)
        if trial.status != "COMPLETED":
            running.set_user_attr(FAILURE, failure_reason(trial))
            study.tell(number, state=TrialState.FAIL)
            return
        if trial.trial_id not in self.outcomes:  # the process ended between the two records
            self.score(trial)
        reports.save()
        self._save_record(running, reports, trial)
        values = self.outcomes[trial.trial_id].values
        if values is None:
            study.tell(number, state=TrialState.PRUNED)
        else:
            study.tell(number, list(values))

    def _save_record(self, running: optuna.Trial, reports: TrialReports, trial: Any) -> None:
        accuracy = None
        if not reports.violation and trial.metrics.exists("val_accuracy"):
            accuracy = float(trial.metrics.get_best_value("val_accuracy"))
        record = with_architecture(reports.record(accuracy), self._space, running.params)
        if record.to_dict():
            save_record(running, record)

    # --- looking back ----------------------------------------------------------------------------

    def frozen(self, trial_id: str) -> FrozenTrial:
        """The trial of the study that belongs to one of the project.

        Raises:
            KeyError: There is none.
        """
        return reopen(self._drafts.study, self.numbers[trial_id])._get_latest_trial()

    def restore(
        self,
        trials: Iterable[Any],
        folder: Callable[[str], Path],
        space: Sequence[Any] | None,
    ) -> None:
        """Find the trials of a reloaded project in the study; what is not there is added.

        Args:
            trials: Trials of Keras Tuner, in the order of their start.
            folder: The folder of a trial, by its id.
            space: As for `end`.
        """
        tied = [
            (frozen.number, frozen.user_attrs[KERAS_TUNER])
            for frozen in self.study.get_trials(deepcopy=False)
            if KERAS_TUNER in frozen.user_attrs
        ]
        mine = [(number, tie) for number, tie in tied if tie["project"] == self.project]
        self.numbers = {tie["trial"]: number for number, tie in mine}
        known = set()
        for trial in trials:
            known.add(trial.trial_id)
            if trial.trial_id not in self.numbers:
                content = tie_by_content(trial)[KERAS_TUNER]  # `study_from_project` read it
                read = [number for number, tie in tied if tie == content]
                self.numbers[trial.trial_id] = read[0] if read else self._added(trial, folder)
            if trial.status in ("COMPLETED", "FAILED"):
                self.end(trial, space)
        for trial_id in set(self.numbers) - known:  # asked for, and never begun
            self.pause(trial_id)

    def _added(self, trial: Any, folder: Callable[[str], Path]) -> int:
        """Add a trial of the project to the study; returns its number."""
        tie = self._tie(trial.trial_id)
        sidecar = folder(trial.trial_id) / SIDECAR
        if sidecar.exists():
            frozen = read_sidecar(sidecar)
            frozen.user_attrs.update(tie)
        elif trial.status in ("COMPLETED", "FAILED"):
            frozen = finished_trial(trial, self._objective, user_attrs=tie, space=self._space)
        else:
            found = all_parameters(trial.hyperparameters, self._space)
            frozen = frozen_trial(TrialState.RUNNING, found, user_attrs=tie)
        return insert_trial(self._drafts.study, frozen)

    def write_sidecar(self, trial_id: str, folder: Path) -> None:
        """Keep a trial beside that of Keras Tuner, where the study lives only in memory."""
        if isinstance(storage_of(self.study), InMemoryStorage):
            write_whole(folder / SIDECAR, json.dumps(trial_to_dict(self.frozen(trial_id))))

    def _tie(self, trial_id: str) -> dict[str, Any]:
        return own_tie(self.project, trial_id)

    def _is_mine(self, frozen: FrozenTrial) -> bool:
        tie: Mapping[str, Any] = frozen.user_attrs.get(KERAS_TUNER, {})
        return tie.get("project") == self.project
