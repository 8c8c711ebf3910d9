"""What a search is asked to do: the options of ``keras-nas search`` as one value."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from keras_nas.candidates import LEARNING_RATE
from optuna_nas.errors import NASError


class SettingsError(NASError, ValueError):
    """A setting is out of its range."""


@dataclass(frozen=True)
class SearchSettings:
    """What to search, how, and for how long.

    Args:
        data: What `keras_nas.data.load` takes.
        target: Column of a ``.csv`` to predict.
        space: What `keras_nas.named.make_space` takes; None: by the shape of the data.
        sampler: One of `keras_nas.named.SAMPLERS`.
        pruner: One of `keras_nas.named.PRUNERS`.
        trials: Finished trials of the study in all, earlier runs included.
        timeout: Seconds for the trials of this run.
        seed: Seed of the split, the sampler and the weights.
        storage: Optuna URL of the study's database; None: ``study.db`` in the run folder.
        objectives: Metrics to optimise.
        max_latency_ms: Hard limit of the latency.
        max_params: Hard limit of the trainable parameters.
        device: Command that runs a Python program from its standard input on the device whose
            latency counts; None: this machine.
        latency_table: File of a `LatencyTable` that predicts latencies instead; None: measure.
        epochs: Epochs of a trial.
        batch_size: Rows a step.
        learning_rate: Of the first step.
        patience: Epochs without improvement before a trial's training stops.
        jobs: Candidates trained at once; None: one for each core, four at most.
        threads: Threads of each; None: the cores shared among them.
        out: Run folder; None: ``runs/<data>-<space>``.
        isolation: "process" or "none".
        trial_timeout: Seconds one candidate may train.
        trial_memory_mib: Memory its process may use.
        finalists: Models of the front that are trained in full.
        final_epochs: Epochs of that; None: three times as many as of a trial.

    Raises:
        SettingsError: A number is out of its range.
    """

    data: str = "digits"
    target: str | None = None
    space: str | None = None
    sampler: str = "evolution"
    pruner: str = "none"
    trials: int = 150
    timeout: float | None = None
    seed: int = 0
    storage: str | None = None
    objectives: Sequence[str] = ("accuracy", "latency_ms")
    max_latency_ms: float | None = None
    max_params: int | None = None
    device: str | None = None
    latency_table: str | None = None
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = LEARNING_RATE
    patience: int | None = None
    jobs: int | None = None
    threads: int | None = None
    out: str | None = None
    isolation: str = "process"
    trial_timeout: float | None = None
    trial_memory_mib: int | None = None
    finalists: int = 4
    final_epochs: int | None = None

    def __post_init__(self) -> None:
        for name in ("trials", "jobs", "threads", "finalists", "epochs", "final_epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name} must be 1 or more, got {value}", value)
        for name in ("timeout", "trial_timeout", "trial_memory_mib"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingsError(f"{name} must be above 0, got {value}", value)

    @property
    def parallel(self) -> int:
        """Candidates trained at once."""
        return self.jobs or min(4, _cores())

    @property
    def threads_each(self) -> int:
        """Threads of each candidate."""
        return self.threads or max(1, _cores() // self.parallel)

    @property
    def epochs_in_full(self) -> int:
        """Epochs of a finalist."""
        return self.final_epochs or 3 * self.epochs

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "objectives": list(self.objectives)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SearchSettings:
        """Inverse of `to_dict`; what a later version added is ignored."""
        names = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names})


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
