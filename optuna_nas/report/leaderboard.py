"""Leaderboard and Pareto front of a study, each architecture once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import TrialRecord, predicted_values, violation_of
from optuna_nas.report.reading import StudyReading, read_study

FEW = 5  # rows of the "front" of a study with one objective


@dataclass(frozen=True)
class LeaderboardRow:
    """One architecture of a study, by its best trial.

    Args:
        rank: Place, from 1.
        trial: Number of the trial.
        state: ``COMPLETE`` or ``PRUNED``.
        values: Value of each objective by name; empty for pruned trials.
        params: Trainable scalars.
        macs: Multiply-accumulates for one input.
        latency_ms: Latency in milliseconds, measured or predicted.
        accuracy: Validation accuracy, 0 to 1.
        epochs: Epochs trained.
        seconds: Wall time of the trial.
        canonical_id: Identity of the architecture.
        repeats: How many of the study's trials had this architecture, this one included.
        feasible: Whether it breaks no constraint.
        on_front: Whether no feasible trial dominates it.
        genotype: The decisions taken.
    """

    rank: int
    trial: int
    state: str
    values: Mapping[str, float]
    params: int | None
    macs: int | None
    latency_ms: float | None
    accuracy: float | None
    epochs: int | None
    seconds: float | None
    canonical_id: str | None
    repeats: int
    feasible: bool
    on_front: bool
    genotype: Mapping[str, Any]


def leaderboard(study: optuna.Study, *, top: int | None = None) -> list[LeaderboardRow]:
    """The architectures of a study, best first, each once with its best trial.

    Order: the Pareto front, other feasible trials, trials that break a constraint (least broken
    first), pruned trials; within each the first objective decides, then the second, and so on.
    Trials of one canonical identity are one architecture; without records, trials with equal
    parameters are. Failed and running trials are left out.

    Args:
        study: Any Optuna study, with or without this project's records.
        top: Keep only so many rows.
    """
    return rows_of(read_study(study), top=top)


def pareto_front(study: optuna.Study, *, few: int = FEW) -> list[LeaderboardRow]:
    """The feasible architectures that none dominates, best first objective first.

    A study with one objective has no front worth the name: its best ``few`` are returned.
    """
    return front_of(read_study(study), few=few)


def front_of(reading: StudyReading, *, few: int = FEW) -> list[LeaderboardRow]:
    """`pareto_front` of a study that is read already."""
    if len(reading.objectives) == 1:
        best = [row for row in rows_of(reading) if row.feasible and row.state == "COMPLETE"]
        return best[:few]
    return [row for row in rows_of(reading) if row.on_front]


def rows_of(reading: StudyReading, *, top: int | None = None) -> list[LeaderboardRow]:
    """`leaderboard` of a study that is read already."""
    shown = [t for t in reading.trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    same: dict[object, list[FrozenTrial]] = {}
    for trial in sorted(shown, key=lambda trial: _order(reading, trial)):
        same.setdefault(_identity(trial, reading.record(trial)), []).append(trial)
    kept = list(same.values())[:top]
    return [
        _row(reading, trials[0], rank, len(trials)) for rank, trials in enumerate(kept, start=1)
    ]


def epochs_of(record: TrialRecord) -> int | None:
    """Epochs trained, by the longest curve; None where no curve was kept."""
    return max((len(values) for values in record.curve.values()), default=None)


def _order(reading: StudyReading, trial: FrozenTrial) -> tuple[float, ...]:
    if trial.state == TrialState.COMPLETE:
        broken = violation_of(trial)
        group = 2.0 if broken else 0.0 if trial.number in reading.front else 1.0
        return (group, broken, *reading.losses(trial), trial.number)
    predicted = predicted_values(trial) or ()
    if len(predicted) != len(reading.maximize):
        predicted = (float("nan"),) * len(reading.maximize)
    losses = (-v if up else v for v, up in zip(predicted, reading.maximize, strict=True))
    known = (loss if loss == loss else float("inf") for loss in losses)  # NaN: not known
    return (3.0, 0.0, *known, trial.number)


def _identity(trial: FrozenTrial, record: TrialRecord) -> object:
    if record.canonical_id is not None:
        return record.canonical_id
    return tuple(sorted((name, repr(value)) for name, value in trial.params.items()))


def _row(reading: StudyReading, trial: FrozenTrial, rank: int, repeats: int) -> LeaderboardRow:
    record = reading.record(trial)
    seconds = record.seconds.get("total")
    if seconds is None and trial.duration is not None:
        seconds = trial.duration.total_seconds()
    values = trial.values if trial.state == TrialState.COMPLETE else None
    return LeaderboardRow(
        rank=rank,
        trial=trial.number,
        state=trial.state.name,
        values=dict(zip(reading.objectives, values or (), strict=False)),
        params=record.params,
        macs=record.macs,
        latency_ms=record.latency_ms,
        accuracy=record.accuracy,
        epochs=epochs_of(record),
        seconds=seconds,
        canonical_id=record.canonical_id,
        repeats=repeats,
        feasible=violation_of(trial) == 0,
        on_front=trial.number in reading.front,
        genotype=dict(trial.params),
    )
