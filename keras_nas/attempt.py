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
    """Reports epochs to a trial with one learned objective, and asks its pruner."""

    def __init__(self, trial: optuna.Trial, metrics: Sequence[Metric]) -> None:
        self._trial = trial
        self._metric = metrics[0] if len(metrics) == 1 and metrics[0].trained else None
        self.pruned_at: int | None = None

    def epoch(self, epoch: int, values: Mapping[str, float]) -> str | None:
        """Take the values of an epoch, counted from 1; return why to stop, or None."""
        if self._metric is None or self.pruned_at is not None:
            return None
        assert self._metric.curve is not None
        self._trial.report(self._metric.of_curve(values[self._metric.curve]), epoch)
        if self._trial.should_prune():
            # The epoch in which this order arrives belongs to no one: it is not reported.
            self.pruned_at = epoch
            return "pruned"
        return None
