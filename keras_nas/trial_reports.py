"""What a running trial of Keras Tuner tells the study: epochs, known values and constraints."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from optuna_nas._optuna import TrialRecord, frozen_of, save_constraint, save_report
from optuna_nas.pruners import CurveRecorder

EPOCH_PREFIX = "epoch/"
"""Before the name of a metric after one epoch; the step is the epoch, from 1."""
KNOWN_PREFIX = "known/"
"""Before the name of a value that is certain before training."""
CONSTRAINT_PREFIX = "constraint/"
"""Before the name of a constraint, whose value is above 0 where it is violated."""

# The learning curves a report shows, and the known values it has a column for.
CURVES = ("accuracy", "val_accuracy", "loss", "val_loss")
_FACTS = ("params", "macs", "peak_activation_bytes", "latency_ms")


def split(metrics: Mapping[str, Any]) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Sort what ``update_trial`` was given: by prefix, and what is Keras Tuner's own."""
    ours: dict[str, dict[str, float]] = {}
    rest: dict[str, float] = {}
    for key, value in metrics.items():
        for prefix in (EPOCH_PREFIX, KNOWN_PREFIX, CONSTRAINT_PREFIX):
            if key.startswith(prefix):
                ours.setdefault(prefix, {})[key.removeprefix(prefix)] = float(value)
                break
        else:
            rest[key] = value
    return ours, rest


class TrialReports:
    """Reports of one attempt at a trial.

    Args:
        trial: The running trial of the study.
        objectives: Names of the objectives, in the order of the study's values.
        started: `time.perf_counter` when the attempt began; None where that is not known.

    Attributes:
        known: Values that are certain before training, by name.
        pruned: Whether the study's pruner asked to stop.
        curves: Metrics by name, one entry an epoch.
    """

    def __init__(
        self, trial: optuna.Trial, objectives: Sequence[str], started: float | None = None
    ) -> None:
        self._trial = trial
        self._started = started
        self._objectives = tuple(objectives)
        self._recorder: CurveRecorder | None = None
        self._step = 0
        self.known: dict[str, float] = {}
        self._constraints = dict(frozen_of(trial).constraints)
        self.pruned = False
        self.curves: dict[str, list[float]] = {}

    @property
    def violation(self) -> float:
        """Sum of the violated constraints."""
        return sum((max(value, 0.0) for value in self._constraints.values()), 0.0)

    @property
    def stopped(self) -> bool:
        """Whether the trial need not go on."""
        return self.pruned or self.violation > 0

    def take(self, reports: Mapping[str, Mapping[str, float]], step: int) -> None:
        """Take what `split` found to be ours."""
        self.known.update(reports.get(KNOWN_PREFIX, {}))
        for name, value in reports.get(CONSTRAINT_PREFIX, {}).items():
            save_constraint(self._trial, name, value)
            self._constraints[name] = value
        if (epoch := reports.get(EPOCH_PREFIX)) is not None and step > self._step:
            # Of several executions, the first one's epochs are reported.
            self._step = step
            self._take_epoch(epoch, step)

    def _take_epoch(self, epoch: Mapping[str, float], step: int) -> None:
        for name, value in epoch.items():
            self.curves.setdefault(name, []).append(value)
        learned = [name for name in self._objectives if name not in self.known]
        if not learned or any(name not in epoch for name in learned):
            return  # it is computed after training
        if len(self._objectives) == 1:
            save_report(self._trial, epoch[learned[0]], step)
            self.pruned = self.pruned or self._trial.should_prune()
            return
        if self._recorder is None:
            known: dict[str | int, float] = {
                index: self.known[name]
                for index, name in enumerate(self._objectives)
                if name in self.known
            }
            self._recorder = CurveRecorder(self._trial, known=known)
        self._recorder.report([epoch[name] for name in learned], step)
        self.pruned = self.pruned or self._recorder.should_prune()

    def best(self, objective: Any) -> float | None:
        """The best value an objective had after an epoch; None without such epochs."""
        values = [value for value in self.curves.get(objective.name, ()) if value == value]
        if not values:
            return None
        return max(values) if objective.direction == "max" else min(values)

    def save(self) -> None:
        """Keep the curve of a trial with several objectives."""
        if self._recorder is not None:
            self._recorder.save()

    def record(self, accuracy: float | None) -> TrialRecord:
        """What the study's reports show of the trial."""
        facts: dict[str, Any] = {
            name: value if name == "latency_ms" else int(value)
            for name, value in self.known.items()
            if name in _FACTS
        }
        curve = {name: values for name, values in self.curves.items() if name in CURVES}
        seconds = {} if self._started is None else {"total": time.perf_counter() - self._started}
        return TrialRecord(accuracy=accuracy, curve=curve, seconds=seconds, **facts)
