"""What a tuner asks about each model before its first epoch, and what it does with the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from keras_nas._keras import keras
from keras_nas.limits import Limits
from keras_nas.untrained import KNOWN, TIMED, measure_untrained
from optuna_nas.profiling import require_onnxruntime


class RejectedError(Exception):
    """A model passes a limit, so that it is not trained."""


class Measures:
    """What is measured of every model, because it is an objective or has a limit.

    Args:
        objectives: Names of the objectives, which may be metrics of training as well.
        limits: Hard limits.
        latency_seconds: Most seconds spent timing one model.

    Attributes:
        names: What is measured, of `keras_nas.untrained.KNOWN`.
        is_timed: Whether models are exported and run.

    Raises:
        ProfilingError: Models are to be timed, and ONNX Runtime is missing.
    """

    def __init__(self, objectives: set[str], limits: Limits, latency_seconds: float) -> None:
        wanted = {name for name, limit in asdict(limits).items() if limit is not None} | objectives
        self.names = tuple(name for name in KNOWN if name in wanted)
        self.is_timed = not wanted.isdisjoint(TIMED)
        self._limits = limits
        self._latency_seconds = latency_seconds
        if self.is_timed:
            require_onnxruntime()

    def of(
        self, model: Any, reference_ms: float | None
    ) -> tuple[Mapping[str, float], dict[str, float]]:
        """Values by name, and by how much of each limit it is passed.

        Args:
            model: A built `keras.Model`.
            reference_ms: Undisturbed time of the latency anchor in milliseconds.
        """
        untrained = measure_untrained(
            model, self.names, reference_ms=reference_ms, budget_seconds=self._latency_seconds
        )
        return untrained.values, self._limits.violations(untrained.values)


class BeforeTraining(keras.callbacks.Callback):
    """Measures the model, and adds what it found to the logs of every epoch.

    There the checkpoint, the history and the user's own callbacks find it like any metric. A model
    that does not know its inputs is built by its first batch, and measured after that.

    Args:
        measure: Measures a model, once however often it is called, or raises `RejectedError`.
    """

    def __init__(self, measure: Callable[[Any], Mapping[str, float]]) -> None:
        super().__init__()
        self._measure = measure

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if self.model.built:
            self._measure(self.model)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._measure(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update(self._measure(self.model))
