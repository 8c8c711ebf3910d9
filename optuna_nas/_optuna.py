"""Everything this project keeps in an Optuna study, and the only access to `study._storage`.

What a study or a trial carries for us lives in attributes whose keys start with ``optuna_nas:``.
Samplers, pruners and reports read them through the helpers here, so that a key is spelt once.

Attributes are written through the storage rather than through the study, for the filtered study
that `optuna.pruners.HyperbandPruner` hands to samplers has no `set_user_attr`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._processes import Owner
from optuna_nas.errors import SpaceMismatchError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.study import Study

SPACE = "optuna_nas:space"
OBJECTIVES = "optuna_nas:objectives"
ENVIRONMENT = "optuna_nas:environment"
RECORD = "optuna_nas:record"
FAILURE = "optuna_nas:failure"
OWNER = "optuna_nas:owner"
TASK = "optuna_nas:task"
ANCHOR = "optuna_nas:anchor"
RETRY_OF = "optuna_nas:retry_of"
NOTE = "optuna_nas:note"
CURVE = "optuna_nas:curve"
SUPERNET = "optuna_nas:supernet"
KERAS_TUNER = "keras_nas:trial"

# Optuna's own keys: what a sampler's `constraints_func` returned, and enqueued values.
_CONSTRAINTS = "constraints"
_FIXED_PARAMS = "fixed_params"


_T = TypeVar("_T")


class NamedSpace(Protocol):
    """The part of a search space that a study remembers."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def to_json(self) -> str: ...


@dataclass(frozen=True)
class TrialRecord:
    """What was learned about one architecture, apart from the values of its trial.

    Attributes:
        canonical_id: Identity of the architecture's graph.
        params: Trainable scalars.
        macs: Multiply-accumulates for one input.
        peak_activation_bytes: Activation memory of one input.
        accuracy: Validation accuracy, 0 to 1.
        latency_ms: Median latency in milliseconds.
        latency: The whole measurement, `LatencyProfile.to_dict()`.
        curve: Learning curves by name (``accuracy``, ``val_accuracy``, ``loss``, ``val_loss``), one
            entry an epoch.
        seconds: Wall time by phase (``latency``, ``train``, ``total``).
        predicted_value: Final value predicted for a trial its objective stopped, in the unit of the
            objective; one value per objective where there are several. What a pruner predicts is
            in the trial's `CurveRecord`.
        identity: `SearchSpace.identity` of the genotype: the key under which values are reused.
        reused_from: Number of the trial whose values were taken, where this one was not trained.
    """

    canonical_id: str | None = None
    params: int | None = None
    macs: int | None = None
    peak_activation_bytes: int | None = None
    accuracy: float | None = None
    latency_ms: float | None = None
    latency: Mapping[str, Any] | None = None
    curve: Mapping[str, Sequence[float]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    predicted_value: float | Sequence[float] | None = None
    identity: str | None = None
    reused_from: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; what is not known is left out."""
        known = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in known if value is not None and value != {}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrialRecord:
        """Inverse of `to_dict`. Keys of a later version are ignored."""
        return _read(cls, values)


def record_of(trial: FrozenTrial | optuna.Trial) -> TrialRecord:
    """The record of a trial; an empty one where nothing was saved."""
    return TrialRecord.from_dict(trial.user_attrs.get(RECORD, {}))


def save_record(trial: optuna.Trial, record: TrialRecord) -> None:
    """Store a record with its running trial, in one write."""
    trial.set_user_attr(RECORD, record.to_dict())


@dataclass(frozen=True)
class CurveRecord:
    """What a pruner keeps with a trial: what it predicted, and the curve where Optuna takes none.

    Attributes:
        predicted: Final value of each objective as expected when the trial was stopped.
        std: Standard deviation of each; 0 where the value was known.
        probability: Chance, at that step, that the finished trial would have been good enough.
        threshold: The chance below which trials were stopped then.
        stopped_at: The step after which the pruner first asked for the trial to be stopped.
        max_step: The step that was predicted for.
        steps: Steps of the reports, where the trial has several objectives.
        values: Reports by objective, one list of the length of `steps` each; a single number for
            an objective that was known from the start.
    """

    predicted: Sequence[float] | None = None
    std: Sequence[float] | None = None
    probability: float | None = None
    threshold: float | None = None
    stopped_at: int | None = None
    max_step: float | None = None
    steps: Sequence[int] = ()
    values: Sequence[Sequence[float] | float] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; what is not known is left out."""
        known = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in known if value is not None and value != ()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CurveRecord:
        """Inverse of `to_dict`. Keys of a later version are ignored."""
        return _read(cls, values)


def save_curve(study: Study, trial: FrozenTrial | optuna.Trial, record: CurveRecord) -> None:
    """Store what a pruner keeps of a running trial, in one write."""
    study._storage.set_trial_user_attr(trial._trial_id, CURVE, record.to_dict())


def curve_of(trial: FrozenTrial) -> CurveRecord | None:
    """What `save_curve` stored; None where nothing was."""
    stored = trial.user_attrs.get(CURVE)
    return None if stored is None else CurveRecord.from_dict(stored)


def predicted_values(trial: FrozenTrial) -> tuple[float, ...] | None:
    """What was predicted for a stopped trial, one number an objective; None if nothing was."""
    predicted = trial.user_attrs.get(RECORD, {}).get("predicted_value")
    if predicted is None:
        predicted = trial.user_attrs.get(CURVE, {}).get("predicted")
    if predicted is None:
        return None
    return tuple(predicted) if isinstance(predicted, (list, tuple)) else (float(predicted),)


def violation_of(trial: FrozenTrial) -> float:
    """Sum of the constraint values above zero: 0 is feasible (or without constraints)."""
    return sum((value for value in trial.constraints.values() if value > 0), 0.0)


def save_constraints(study: Study, trial: FrozenTrial, values: Sequence[float]) -> None:
    """Store what a sampler's `constraints_func` returned, as Optuna's own samplers do.

    Raises:
        ValueError: If a value is NaN.
    """
    if any(math.isnan(value) for value in values):
        raise ValueError(f"constraints_func must return numbers without NaN, got {values!r}.")
    stored = [float(value) for value in values]
    study._storage.set_trial_system_attr(trial._trial_id, _CONSTRAINTS, stored)


def save_note(study: Study, trial: FrozenTrial, note: Mapping[str, Any]) -> None:
    """Store what the strategy that proposed a running trial will want to know later."""
    study._storage.set_trial_system_attr(trial._trial_id, NOTE, dict(note))


def note_of(trial: FrozenTrial) -> Mapping[str, Any] | None:
    """What `save_note` stored; None where the trial was not proposed by a strategy that notes."""
    return trial.system_attrs.get(NOTE)


@dataclass(frozen=True)
class SupernetEpoch:
    """What a supernet had learned after one unit of search.

    Attributes:
        logits: By decision, one number for each value of it; None stands for minus infinity.
        status: Figures of the search, `GradientSource.status`.
    """

    logits: Mapping[str, Sequence[float | None]]
    status: Mapping[str, Any]


@dataclass(frozen=True)
class SupernetState:
    """How far the supernet of a study has come.

    Attributes:
        epochs: Units of search that are done.
        final: Whether these are all.
        ready: Whether trials may be drawn from it.
        owner: The process that has the supernet, `Owner.to_dict`.
        trial: Number of the trial that waits for the next unit, if one does.
        artifact: Identifier of the last checkpoint in an artifact store, if there is one.
    """

    epochs: int
    final: bool
    ready: bool
    owner: Mapping[str, Any]
    trial: int | None = None
    artifact: str | None = None


def save_supernet(study: Study, state: SupernetState, epoch: SupernetEpoch | None = None) -> None:
    """Store the state of a supernet, and the epoch it comes from where it is a new one."""
    if epoch is not None:  # first, so that the state never speaks of what is missing
        key, stored = f"{SUPERNET}:{state.epochs}", {"logits": epoch.logits, "status": epoch.status}
        study._storage.set_study_system_attr(study._study_id, key, stored)
    values = {f.name: getattr(state, f.name) for f in fields(state)}
    study._storage.set_study_system_attr(study._study_id, SUPERNET, values)


def supernet_of(study: Study) -> tuple[SupernetState, dict[int, SupernetEpoch]] | None:
    """The state of a study's supernet, and all its epochs by their number; None without one."""
    attributes = study._storage.get_study_system_attrs(study._study_id)
    if SUPERNET not in attributes:
        return None
    state = _read(SupernetState, attributes[SUPERNET])
    keys = ((number, f"{SUPERNET}:{number}") for number in range(state.epochs + 1))
    kept = {number: attributes[key] for number, key in keys if key in attributes}
    return state, {number: _read(SupernetEpoch, values) for number, values in kept.items()}


def _read(cls: type[_T], values: Mapping[str, Any]) -> _T:
    """A dataclass from its fields; those of a later version are ignored."""
    names = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in values.items() if name in names})


def save_draw(study: Study, trial: FrozenTrial, draw: Mapping[str, Any]) -> None:
    """Store with a running trial what was drawn for it from a supernet, for other workers to see.

    Args:
        study: Its study.
        trial: The trial.
        draw: JSON-able; ``proposed`` holds the parameters.
    """
    study._storage.set_trial_user_attr(trial._trial_id, SUPERNET, dict(draw))


def draw_of(trial: FrozenTrial) -> Mapping[str, Any] | None:
    """What `save_draw` stored; None where nothing was."""
    return trial.user_attrs.get(SUPERNET)


def planned_params(trial: FrozenTrial) -> dict[str, Any]:
    """Parameters an unfinished trial has, or will have: enqueued, or drawn from a supernet."""
    drawn = trial.user_attrs.get(SUPERNET, {}).get("proposed", {})
    return {**drawn, **trial.system_attrs.get(_FIXED_PARAMS, {}), **trial.params}


def fixed_by_sampler(study: Study) -> dict[str, Any]:
    """Parameters that `optuna.samplers.PartialFixedSampler`, around another sampler, will fix."""
    sampler = study.sampler
    if isinstance(sampler, optuna.samplers.PartialFixedSampler):
        return dict(sampler._fixed_params)
    return {}


def storage_of(study: Study) -> BaseStorage:
    """The storage behind a study: the same object for all studies that share it."""
    return study._storage


def study_id_of(study: Study) -> int:
    """Number of a study within its storage."""
    return study._study_id


def frozen_of(trial: optuna.Trial) -> FrozenTrial:
    """A running trial as pruners get it. Not to be modified."""
    return trial._get_latest_trial()


class _ReopenedTrial(optuna.Trial):
    """A running trial taken up again: its parameters are chosen, so no sampler is asked."""

    def __init__(self, study: Study, trial: FrozenTrial) -> None:
        self.study = study
        self.storage = study._storage
        self._trial_id = trial._trial_id
        self._cached_frozen_trial = trial
        self.relative_search_space = {}
        self._relative_params = {}
        self._fixed_params = {}


def reopen(study: Study, number: int) -> optuna.Trial:
    """A running trial by its number, to report to and to set attributes of.

    `optuna.Trial` itself would tell the sampler that a new trial begins.

    Raises:
        KeyError: The study has no trial of this number.
    """
    trial_id = study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    return _ReopenedTrial(study, study._storage.get_trial(trial_id))


def save_report(trial: optuna.Trial, value: float, step: int) -> None:
    """`optuna.Trial.report`, which keeps the first value of a step, with the last one kept."""
    trial.study._storage.set_trial_intermediate_value(trial._trial_id, step, value)
    trial._cached_frozen_trial.intermediate_values[step] = value


def save_constraint(trial: optuna.Trial, name: str, value: float) -> None:
    """`optuna.Trial.set_constraint`, which keeps the first value of a name, with the last kept."""
    key = f"{_CONSTRAINTS}:{name}"
    trial.study._storage.set_trial_system_attr(trial._trial_id, key, value)
    trial._cached_frozen_trial.system_attrs[key] = value


def save_param(
    study: Study, trial: FrozenTrial, name: str, value: Any, distribution: BaseDistribution
) -> None:
    """Give a running trial a parameter that was chosen by somebody other than its sampler.

    Raises:
        ValueError: Other trials have a parameter of this name and of another kind.
    """
    internal = distribution.to_internal_repr(value)
    study._storage.set_trial_param(trial._trial_id, name, internal, distribution)


def insert_trial(study: Study, trial: FrozenTrial) -> int:
    """`optuna.study.Study.add_trial`, which tells the number of the trial, also a running one.

    Raises:
        ValueError: The trial contradicts itself.
    """
    trial._validate()
    trial_id = study._storage.create_new_trial(study._study_id, template_trial=trial)
    return study._storage.get_trial_number_from_id(trial_id)


def set_running(study: Study, trial: FrozenTrial, running: bool) -> bool:
    """Take an unfinished trial out of the queue of waiting ones, or put it there.

    Returns:
        False if it finished meanwhile, or another process was faster.
    """
    state = TrialState.RUNNING if running else TrialState.WAITING
    try:
        return study._storage.set_trial_state_values(trial._trial_id, state)
    except UpdateFinishedTrialError:
        return False


def forget_read_trials(study: Study) -> None:
    """Let `trials_of` read anew, where trials changed without `Study.ask` or `Study.tell`."""
    study._thread_local.cached_all_trials = None


def trials_of(study: Study) -> list[FrozenTrial]:
    """All trials by number, not copied, read once per trial and thread. Not to be modified."""
    return study._get_trials(deepcopy=False, use_cache=True)


def objectives_of(study: Study) -> tuple[str, ...]:
    """Names of the objectives, one a value.

    They come from the study's own attribute, else from `optuna.Study.set_metric_names`, else they
    are ``value``, or ``value 0``, ``value 1``, ...
    """
    number = len(study.directions)
    names = study.user_attrs.get(OBJECTIVES) or study.metric_names or ()
    if len(names) == number:
        return tuple(map(str, names))
    return ("value",) if number == 1 else tuple(f"value {i}" for i in range(number))


def bind_space(study: Study, space: NamedSpace) -> None:
    """Tie a study to its space at the first call; later, check that it is still the same.

    Raises:
        SpaceMismatchError: If the study was made with a space of another structure.
    """
    attributes = study._storage.get_study_user_attrs(study._study_id)
    stored = attributes.get(SPACE)
    if stored is None:
        mine = {"name": space.name, "fingerprint": space.fingerprint, "json": space.to_json()}
        study._storage.set_study_user_attr(study._study_id, SPACE, mine)
    elif stored["fingerprint"] != space.fingerprint:
        raise SpaceMismatchError(
            f"space: study {study.study_name!r} was made with the space {stored['name']!r} "
            f"(fingerprint {stored['fingerprint'][:12]}), but this is {space.name!r} "
            f"({space.fingerprint[:12]}). Use the space of the study, or start a study of another "
            "name.",
            value=space,
        )


def fail_trial(study: Study, trial: FrozenTrial, reason: str) -> bool:
    """Mark an unfinished trial as failed, with the reason. False if it finished meanwhile."""
    try:
        study._storage.set_trial_user_attr(trial._trial_id, FAILURE, reason)
        return study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False


def own(trial: optuna.Trial) -> None:
    """Note with a running trial which process works on it, in one write."""
    trial.set_user_attr(OWNER, Owner.current().to_dict())


def fail_stale_trials(study: Study, *, unowned_after: float | None = None) -> list[int]:
    """Fail running trials whose process is gone, so that none stays running for ever.

    Only trials whose owner ran on this machine are judged: whether a process elsewhere still lives
    can't be known from here.

    Args:
        study: The study to clean.
        unowned_after: Seconds after which a running trial without a noted owner, without
            parameters and without reports is failed as well: its process ended between creating
            the trial and taking it. None leaves such trials alone; trials of objectives that do
            not call `own` may look like this while they prepare.

    Returns:
        Numbers of the trials that were failed.
    """
    failed = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        reason = None
        if OWNER in trial.user_attrs:
            owner = Owner.from_dict(trial.user_attrs[OWNER])
            if owner.is_gone():
                reason = f"its process {owner.pid} on {owner.host} ended without a result"
        elif unowned_after is not None and _untouched_for(trial) > unowned_after:
            reason = "its process ended before it began to work"
        if reason is not None and fail_trial(study, trial, reason):
            failed.append(trial.number)
    return failed


def _untouched_for(trial: FrozenTrial) -> float:
    """Seconds since the start of a trial that shows no sign of work; -1 if it shows one."""
    if trial.params or trial.intermediate_values or trial.user_attrs:
        return -1.0
    if trial.datetime_start is None:
        return -1.0
    return (datetime.now(trial.datetime_start.tzinfo) - trial.datetime_start).total_seconds()
