"""What a search cost: trials by fate, reasons of failures, epochs and time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import FAILURE, violation_of
from optuna_nas.report.leaderboard import epochs_of
from optuna_nas.report.reading import StudyReading

REASON_LENGTH = 300


@dataclass(frozen=True)
class SearchCost:
    """The price of a search; all times in seconds.

    Args:
        states: Number of trials by state, only states that occur.
        failures: Reasons of failed trials with how often each occurred, commonest first.
        rejected: Trials that broke a constraint and were stopped before the first epoch.
        repeats: Finished trials beyond the first of each architecture.
        epochs: Epochs trained over all trials.
        training: Time spent training.
        measuring: Time spent measuring latency.
        trials: Time spent in trials, added up over parallel ones.
        elapsed: From the start of the first trial to the end of the last.
    """

    states: Mapping[str, int]
    failures: tuple[tuple[str, int], ...]
    rejected: int
    repeats: int
    epochs: int
    training: float
    measuring: float
    trials: float
    elapsed: float


def cost_of(reading: StudyReading) -> SearchCost:
    """Add up what the trials of a study took."""
    finished = [trial for trial in reading.trials if trial.state.is_finished()]
    states = Counter(trial.state.name for trial in reading.trials)
    reasons = Counter(_reason(trial) for trial in finished if trial.state == TrialState.FAIL)
    known = [record.canonical_id for record in reading.records if record.canonical_id]
    phases: Counter[str] = Counter()
    for trial in finished:
        phases.update(_seconds(reading, trial))
    return SearchCost(
        states=dict(states.most_common()),
        failures=tuple(reasons.most_common()),
        rejected=sum(_rejected(reading, trial) for trial in finished),
        repeats=len(known) - len(set(known)),
        epochs=sum(epochs_of(record) or 0 for record in reading.records),
        training=phases["train"],
        measuring=phases["latency"],
        trials=phases["total"],
        elapsed=_elapsed(finished),
    )


def _reason(trial: FrozenTrial) -> str:
    reason = str(trial.user_attrs.get(FAILURE) or "no reason recorded")
    return reason if len(reason) <= REASON_LENGTH else reason[: REASON_LENGTH - 1] + "…"


def _rejected(reading: StudyReading, trial: FrozenTrial) -> bool:
    untrained = not epochs_of(reading.record(trial)) and not trial.intermediate_values
    over = violation_of(trial) > 0 and trial.state != TrialState.FAIL
    return over and untrained


def _seconds(reading: StudyReading, trial: FrozenTrial) -> dict[str, float]:
    seconds = {key: float(value) for key, value in reading.record(trial).seconds.items()}
    if "total" not in seconds and trial.duration is not None:
        seconds["total"] = trial.duration.total_seconds()
    return seconds


def _elapsed(finished: list[FrozenTrial]) -> float:
    starts: list[datetime] = [t.datetime_start for t in finished if t.datetime_start]
    ends: list[datetime] = [t.datetime_complete for t in finished if t.datetime_complete]
    return max(0.0, (max(ends) - min(starts)).total_seconds()) if starts and ends else 0.0
