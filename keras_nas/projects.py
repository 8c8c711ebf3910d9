"""Existing Keras Tuner projects as Optuna studies."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from keras_nas._keras_tuner import keras_tuner
from keras_nas.outcomes import measured_values, objectives_in
from keras_nas.project_study import open_study
from keras_nas.trial_conversion import (
    ORACLE_STATE,
    SIDECAR,
    TrialFileError,
    finished_trial,
    own_tie,
    read_sidecar,
    tie_by_content,
)
from optuna_nas._optuna import CURVE, KERAS_TUNER, CurveRecord
from optuna_nas.errors import NASError
from optuna_nas.space import SearchSpace

_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError)
# What the Hyperband oracle adds to the values of a trial.
_EPOCHS, _PREDECESSOR = "tuner/epochs", "tuner/trial_id"


class ProjectError(NASError, ValueError):
    """A folder is no project of Keras Tuner, or does not tell what is needed to read it."""


def study_from_project(
    directory: str | os.PathLike[str],
    project_name: str,
    *,
    objective: Any = None,
    space: SearchSpace | None = None,
    study: Study | None = None,
    storage: str | BaseStorage | None = None,
    study_name: str | None = None,
) -> Study:
    """Read a project folder of Keras Tuner, written by any of its tuners, into an Optuna study.

    - Completed trials have their parameters and values, failed ones the reason. Trials that are not
      over are left out. Metrics that were reported more than once are curves.
    - Of Hyperband, a trial that was not trained to the end is PRUNED, with what it reached as a
      report at its number of epochs; its successors have the reports of those before them.
    - Reading a project again adds only what is new in it, wherever the folder is by then, and
      nothing of what an `OptunaTuner` put into the same study itself.
    - Everything is read before anything is added, and the project is left as it is.

    Args:
        directory: As given to the tuner.
        project_name: As given to the tuner.
        objective: As given to the tuner. Keras Tuner does not store it: by default it is the metric
            that all scores are values of.
        space: The declared space of a `NASHyperModel`, if the project has one: then the parameters
            are exactly those of a study of that space.
        study: The study to add to, in place of `storage` and `study_name`.
        storage: Optuna storage of the study; None: in memory.
        study_name: Its name; by default that of the project.

    Returns:
        The study.

    Raises:
        ProjectError: There is no project, or the objective can't be told.
        TrialFileError: A file is damaged. Nothing was added.
        StudyMismatchError: The study has other directions or objectives.
        SpaceMismatchError: The study was made with another space.
        GenotypeError: A trial is none of the space.

    Example:
        ::

            study = study_from_project("results", "mnist", storage="sqlite:///study.db")
            study.sampler = PredictorSampler()
            study.optimize(objective, n_trials=20)
    """
    project = _read(Path(directory) / project_name)
    objective = _objective(project, objective)
    frozen = _converted(project, objective, space)
    if study is None:
        study_name = study_name or project_name
    study = open_study(
        objectives_in(objective), study=study, storage=storage, study_name=study_name, space=space
    )
    known = [trial.user_attrs.get(KERAS_TUNER) for trial in study.get_trials(deepcopy=False)]
    study.add_trials(trial for trial in frozen if trial.user_attrs[KERAS_TUNER] not in known)
    return study


@dataclass(frozen=True)
class _Project:
    """A project as it is in its folder.

    Args:
        folder: The folder.
        state: That of its oracle; empty where there is none.
        trials: Keras Tuner's trials by id, in the order of their start.
    """

    folder: Path
    state: Mapping[str, Any]
    trials: Mapping[str, Any]

    def file(self, trial_id: str, name: str = "trial.json") -> Path:
        return self.folder / f"trial_{trial_id}" / name


def _read(folder: Path) -> _Project:
    paths = sorted(folder.glob("trial_*/trial.json"))
    state_file = folder / "oracle.json"
    if not paths and not state_file.exists():
        raise ProjectError(
            f"directory, project_name: expected the folder of a Keras Tuner project, got {folder}, "
            "which has neither an oracle.json nor trials. Give both as they were given to the "
            "tuner.",
            folder,
        )
    found = {}
    for path in paths:
        try:
            trial = keras_tuner.engine.trial.Trial.load(str(path))
        except _DAMAGED as error:
            raise _damaged(path, error, "its folder") from error
        found[trial.trial_id] = trial
    state: Mapping[str, Any] = {}
    try:
        if state_file.exists():
            state = dict(json.loads(state_file.read_text(encoding="utf-8")))
        order = [one for one in state.get("start_order", ()) if one in found]
    except _DAMAGED as error:
        raise _damaged(state_file, error, "it") from error
    order += [one for one in found if one not in order]
    return _Project(folder, state, {one: found[one] for one in order})


def _damaged(path: Path, error: Exception, what: str) -> TrialFileError:
    return TrialFileError(
        f"{path}: expected a file of Keras Tuner, got a damaged one ({type(error).__name__}: "
        f"{error}). Restore it, or move {what} away to read the project without it.",
        path,
    )


# --- the objective -------------------------------------------------------------------------------


def _objective(project: _Project, given: Any) -> Any:
    """The objective of a project as an object of Keras Tuner."""
    if given is None:
        stored = project.state.get(ORACLE_STATE, {}).get("objectives")
        objectives = [keras_tuner.Objective(*one) for one in stored or ()]
        if not objectives:
            return _inferred(project)
        given = objectives if len(objectives) > 1 else objectives[0]
    given = list(given) if isinstance(given, tuple) else given
    return keras_tuner.Oracle(given).objective  # which knows the directions of Keras's metrics


def _inferred(project: _Project) -> Any:
    """The one metric whose best value is the score of every completed trial."""
    completed = [trial for trial in project.trials.values() if trial.status == "COMPLETED"]
    fitting = [
        name
        for name in (completed[0].metrics.metrics if completed else ())
        if all(_is_score(trial, name) for trial in completed)
    ]
    if len(fitting) == 1 and fitting != ["multi_objective"]:
        direction = completed[0].metrics.get_direction(fitting[0])
        return keras_tuner.Objective(fitting[0], direction)
    why = f"the scores are those of {', '.join(fitting) or 'no metric'}"
    if not completed:
        why = "no trial completed"
    elif "multi_objective" in fitting:
        why = f"there are several, of {', '.join(sorted(completed[0].metrics.metrics))}"
    raise ProjectError(
        "objective: expected what the tuner was given, got None, and the files do not tell: "
        f"{why}. Give it.",
        fitting,
    )


def _is_score(trial: Any, name: str) -> bool:
    metrics = trial.metrics
    return bool(metrics.exists(name) and metrics.get_best_value(name) == trial.score)


# --- the trials ----------------------------------------------------------------------------------


def _converted(project: _Project, objective: Any, space: SearchSpace | None) -> list[FrozenTrial]:
    identity = project.state.get(ORACLE_STATE, {}).get("project")
    found = []
    for trial_id, trial in project.trials.items():
        if trial.status not in ("COMPLETED", "FAILED"):
            continue
        tie = tie_by_content(trial) if identity is None else own_tie(identity, trial_id)
        sidecar = project.file(trial_id, SIDECAR)
        if sidecar.exists() and (kept := read_sidecar(sidecar)).state.is_finished():
            kept.user_attrs.update(tie)
            found.append(kept)
            continue
        started, ended = _times(project, trial_id)
        frozen = finished_trial(
            trial, objective, user_attrs=tie, space=space, started=started, ended=ended
        )
        if _EPOCHS in trial.hyperparameters.values and frozen.state == TrialState.COMPLETE:
            _add_rungs(frozen, project, trial, objective)
        found.append(frozen)
    return found


def _times(project: _Project, trial_id: str) -> tuple[datetime, datetime]:
    """Start and end; the file was last written at the end."""
    ended = datetime.fromtimestamp(project.file(trial_id).stat().st_mtime)
    begun = project.state.get("display", {}).get("trial_start", {}).get(trial_id)
    return (datetime.fromisoformat(begun) if begun else ended), ended


def _add_rungs(frozen: FrozenTrial, project: _Project, trial: Any, objective: Any) -> None:
    """What a trial of Hyperband and those it goes on from reached, by their number of epochs."""
    names = [one.name for one in objectives_in(objective)]
    rungs: dict[int, Sequence[float]] = {}
    step: Any = trial
    while step is not None:
        values = step.hyperparameters.values
        reached = measured_values(step.metrics, objective)
        if _EPOCHS not in values or any(name not in reached for name in names):
            break
        rungs[int(values[_EPOCHS])] = [reached[name] for name in names]
        step = project.trials.get(values.get(_PREDECESSOR))
    steps = sorted(rungs)
    if len(names) == 1:
        frozen.intermediate_values = {epochs: rungs[epochs][0] for epochs in steps}
    else:
        columns = [[rungs[epochs][index] for epochs in steps] for index in range(len(names))]
        frozen.user_attrs[CURVE] = CurveRecord(steps=steps, values=columns).to_dict()
    if steps[-1] < project.state.get("max_epochs", steps[-1]):
        frozen.state = TrialState.PRUNED
        frozen.values = None
