"""A trial under way: what is learned about its architecture, and what its pruner says."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna

from keras_nas.metrics import Metric
from optuna_nas._optuna import TrialRecord, save_record
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.pruners import CurveRecorder, LearningCurvePruner
from optuna_nas.space import Genotype


@dataclass
class Attempt:
    """A trial under way, with what has been learned about it so far."""

    trial: optuna.Trial
    genotype: Genotype
    graph: ArchitectureGraph
    record: TrialRecord
    started: float

    def learn(
        self, *, latency_s: float | None = None, train_s: float | None = None, **known: Any
    ) -> None:
        """Add to the record, not yet to the storage."""
        seconds = dict(self.record.seconds)
        if latency_s is not None:
            seconds["latency"] = latency_s
        if train_s is not None:
            seconds["train"] = train_s
        self.record = replace(self.record, **known, seconds=seconds)

    def save(self) -> None:
        """Write the record to the storage."""
        seconds = {**self.record.seconds, "total": time.perf_counter() - self.started}
        save_record(self.trial, replace(self.record, seconds=seconds))


class Reporter:
    """Reports epochs to a trial, and asks its pruner.

    With several objectives only a `LearningCurvePruner` is asked, as Optuna takes no reports.

    Args:
        trial: The running trial.
        metrics: The objectives, at least one of them trained.
        measured: Values of those that are not.
        epochs: Most epochs of this trial.
    """

    def __init__(
        self,
        trial: optuna.Trial,
        metrics: Sequence[Metric],
        measured: Mapping[str, float],
        epochs: int,
    ) -> None:
        self._learned = [(m, m.curve) for m in metrics if m.curve is not None]
        self._recorder: CurveRecorder | None = None
        if len(metrics) == 1 or isinstance(trial.study.pruner, LearningCurvePruner):
            known: dict[str | int, float] = {
                i: measured[m.name] for i, m in enumerate(metrics) if m.curve is None
            }
            self._recorder = CurveRecorder(trial, known=known, max_step=epochs)
        self.pruned_at: int | None = None

    def epoch(self, epoch: int, values: Mapping[str, float]) -> str | None:
        """Take the values of an epoch, counted from 1; return why to stop, or None."""
        if self._recorder is None or self.pruned_at is not None:
            return None
        learned = [metric.of_curve(values[curve]) for metric, curve in self._learned]
        self._recorder.report(learned, epoch)
        if self._recorder.should_prune():
            # The epoch in which this order arrives belongs to no one: it is not reported.
            self.pruned_at = epoch
            return "pruned"
        return None

    def save(self) -> None:
        """Keep what Optuna does not, for other trials to learn from."""
        if self._recorder is not None:
            self._recorder.save()
