"""A trial of Keras Tuner as one of Optuna, and the file in which a project keeps the latter."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from keras_nas._keras_tuner import keras_tuner
from keras_nas.distributions import parameters_of
from keras_nas.hyperparameters import read_genotype
from keras_nas.outcomes import measured_values, objectives_in
from keras_nas.trial_reports import CURVES
from optuna_nas._optuna import CURVE, FAILURE, KERAS_TUNER, RECORD, CurveRecord, TrialRecord
from optuna_nas.errors import NASError
from optuna_nas.space import SearchSpace

_BEST_ACCURACY = keras_tuner.Objective("val_accuracy", "max")
ORACLE_STATE = "optuna"
"""What `keras_nas.OptunaOracle` keeps in the state of its project, beside Keras Tuner's."""
SIDECAR = "optuna.json"
"""Beside a ``trial.json``, where the study itself is in no storage."""


class TrialFileError(NASError, ValueError):
    """A file of a project is damaged."""


def frozen_trial(
    state: TrialState,
    parameters: Mapping[str, tuple[Any, BaseDistribution]],
    *,
    values: Sequence[float] | None = None,
    intermediate_values: Mapping[int, float] | None = None,
    user_attrs: Mapping[str, Any] | None = None,
    started: datetime | None = None,
    ended: datetime | None = None,
) -> FrozenTrial:
    """A trial for `optuna.study.Study.add_trial`.

    Args:
        state: Its state.
        parameters: Value and distribution by name.
        values: One an objective, for a complete trial.
        intermediate_values: Reports by step.
        user_attrs: Its user attributes.
        started: When it began; now, if that is not known.
        ended: When it ended; likewise.
    """
    started = started or datetime.now()
    return FrozenTrial(
        number=-1,  # given by the study
        trial_id=-1,
        state=state,
        value=None,
        values=None if values is None else [float(value) for value in values],
        datetime_start=started,
        datetime_complete=max(ended or started, started) if state.is_finished() else None,
        params={name: value for name, (value, _) in parameters.items()},
        distributions={name: distribution for name, (_, distribution) in parameters.items()},
        user_attrs=dict(user_attrs or {}),
        system_attrs={},
        intermediate_values=dict(intermediate_values or {}),
    )


def all_parameters(
    hyperparameters: Any, space: SearchSpace | None
) -> dict[str, tuple[Any, BaseDistribution]]:
    """Optuna parameters of a trial of Keras Tuner; decisions of a space as the space asks them.

    Raises:
        GenotypeError: The trial is none of that space.
    """
    values = hyperparameters.values
    if space is None:
        return parameters_of(hyperparameters.space, values)
    trial = optuna.trial.FixedTrial(read_genotype(space, hyperparameters).params)
    space.suggest(trial)
    free = [one for one in hyperparameters.space if one.name not in space.distributions()]
    found = parameters_of(free, values)
    found.update({name: (trial.params[name], one) for name, one in trial.distributions.items()})
    return found


def with_architecture(
    record: TrialRecord, space: SearchSpace | None, params: Mapping[str, Any]
) -> TrialRecord:
    """A record with what is known of the architecture in a trial's parameters."""
    if space is None:
        return record
    try:
        genotype = space.genotype(params)
        graph = space.graph(genotype)
    except NASError:
        return record  # its build failed as well, and says so
    return replace(
        record,
        canonical_id=graph.canonical_id,
        identity=space.identity(genotype),
        params=graph.params,
        macs=graph.macs,
        peak_activation_bytes=graph.peak_activation_bytes,
    )


def finished_trial(
    trial: Any,
    objective: Any,
    *,
    user_attrs: Mapping[str, Any],
    space: SearchSpace | None = None,
    started: datetime | None = None,
    ended: datetime | None = None,
) -> FrozenTrial:
    """A trial of Keras Tuner that completed or failed, whoever ran it.

    Where metrics were reported more than once, the trial has its curves: that of the objective as
    intermediate values (with several, as a `CurveRecord`), and those a report shows in its record.

    Args:
        trial: The trial.
        objective: The objective of its search.
        user_attrs: Further user attributes.
        space: The declared space of the hypermodel, if it has one.
        started: When it began, if that is known.
        ended: When it ended.

    Raises:
        GenotypeError: It is none of the space.
        ValueError: It completed without a value of the objective.
    """
    attributes = dict(user_attrs)
    parameters = all_parameters(trial.hyperparameters, space)
    if trial.status != "COMPLETED":
        attributes[FAILURE] = failure_reason(trial)
        return frozen_trial(
            TrialState.FAIL, parameters, user_attrs=attributes, started=started, ended=ended
        )
    names = [one.name for one in objectives_in(objective)]
    values = measured_values(trial.metrics, objective)
    if missing := [name for name in names if name not in values]:
        raise ValueError(
            f"objective: trial {trial.trial_id} completed without a value of {', '.join(missing)}; "
            f"it has {', '.join(trial.metrics.metrics) or 'none at all'}. Give the objective that "
            "its search had."
        )
    curves = curves_of(trial)
    record = TrialRecord(
        accuracy=measured_values(trial.metrics, _BEST_ACCURACY).get("val_accuracy"),
        curve={name: list(curves[name].values()) for name in CURVES if name in curves},
    )
    params = {name: value for name, (value, _) in parameters.items()}
    attributes[RECORD] = with_architecture(record, space, params).to_dict()
    learned = [curves.get(name, {}) for name in names]
    reports = learned[0] if len(names) == 1 else {}
    if len(names) > 1 and all(curve.keys() == learned[0].keys() != set() for curve in learned):
        steps = list(learned[0])
        curve = CurveRecord(steps=steps, values=[list(one.values()) for one in learned])
        attributes[CURVE] = curve.to_dict()
    return frozen_trial(
        TrialState.COMPLETE,
        parameters,
        values=[values[name] for name in names],
        intermediate_values=reports,
        user_attrs=attributes,
        started=started,
        ended=ended,
    )


def curves_of(trial: Any) -> dict[str, dict[int, float]]:
    """Values by step of the metrics that a trial of Keras Tuner reported more than once."""
    histories = {name: trial.metrics.get_history(name) for name in trial.metrics.metrics}
    return {
        name: {int(seen.step): float(seen.mean()) for seen in history}
        for name, history in histories.items()
        if len(history) > 1
    }


def own_tie(project: str, trial_id: str) -> dict[str, Any]:
    """The user attribute that ties a trial of the study to one of a project."""
    return {KERAS_TUNER: {"project": project, "trial": trial_id}}


def tie_by_content(trial: Any) -> dict[str, Any]:
    """`own_tie` for a project without an identity: a finished trial is known by all it holds."""
    text = json.dumps(trial.get_state(), sort_keys=True, default=str)
    return own_tie(hashlib.sha256(text.encode()).hexdigest()[:32], trial.trial_id)


def trial_to_dict(trial: FrozenTrial) -> dict[str, Any]:
    """JSON-able; `trial_from_dict` returns an equal trial, but for its number."""
    return {
        "state": trial.state.name,
        "values": trial.values,
        "started": _iso(trial.datetime_start),
        "ended": _iso(trial.datetime_complete),
        "params": {
            name: [
                distribution.to_internal_repr(trial.params[name]),
                distribution_to_json(distribution),
            ]
            for name, distribution in trial.distributions.items()
        },
        "user_attrs": dict(trial.user_attrs),
        "system_attrs": dict(trial.system_attrs),
        "intermediate_values": [[s, v] for s, v in trial.intermediate_values.items()],
    }


def trial_from_dict(stored: Mapping[str, Any]) -> FrozenTrial:
    """Inverse of `trial_to_dict`.

    Raises:
        KeyError: A part is missing.
        ValueError: A part is not what it should be.
    """
    parameters = {}
    for name, (internal, text) in stored["params"].items():
        distribution = json_to_distribution(text)
        parameters[name] = (distribution.to_external_repr(internal), distribution)
    trial = frozen_trial(
        TrialState[stored["state"]],
        parameters,
        values=stored["values"],
        intermediate_values={int(step): value for step, value in stored["intermediate_values"]},
        user_attrs=stored["user_attrs"],
        started=_datetime(stored["started"]),
        ended=_datetime(stored["ended"]),
    )
    trial.system_attrs = dict(stored["system_attrs"])
    return trial


def read_sidecar(path: Path) -> FrozenTrial:
    """Read a `SIDECAR`.

    Raises:
        TrialFileError: It is damaged.
    """
    try:
        return trial_from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrialFileError(
            f"{path}: expected a trial of Optuna, got a damaged file ({error}). Restore it, or "
            "delete it: what Keras Tuner knows of the trial is in the file beside it.",
            path,
        ) from error


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _datetime(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def failure_reason(trial: Any) -> str:
    """The last line of what Keras Tuner keeps of an error, which names it."""
    lines = [line for line in (trial.message or "").strip().splitlines() if line.strip()]
    if lines:
        return str(lines[-1].strip())
    if trial.score is not None and math.isnan(trial.score):
        return "the objective is NaN"
    return "the trial failed, and Keras Tuner was not told why"
