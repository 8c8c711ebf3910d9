"""Candidates and the worker processes in which they are timed and trained."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from keras_nas import jobs
from keras_nas.custom import registrations
from keras_nas.data.dataset import Dataset
from keras_nas.isolation import LocalWorker, Worker, WorkerPool
from keras_nas.isolation.worker import OnMessage
from optuna_nas.errors import NASError
from optuna_nas.fidelity import Fidelity
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.profiling import LatencyProfile

DATA_FOLDER = ".keras_nas_data"
LEARNING_RATE = 3e-3
"""Of the first step, for Adam with a cosine schedule and the few epochs of a trial."""

OnEpoch = Callable[[int, Mapping[str, float]], str | None]
"""Takes an epoch, counted from 1, and its values; returns why to stop, or None."""


@dataclass(frozen=True)
class TrainingPlan:
    """How a candidate is trained; the same for all of a study, but for what its space decides.

    Args:
        epochs: Most passes over the training rows.
        batch_size: Rows a step.
        learning_rate: Of the first step.
        patience: Epochs without improvement before training stops.
        data_fraction: Share of the training rows used.
        seed: Seed of weights and order.
        extra: Further arguments of `keras_nas.training.train`.
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = LEARNING_RATE
    patience: int | None = None
    data_fraction: float = 1.0
    seed: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Fidelity(self.epochs, self.data_fraction)  # checks both
        for name in ("batch_size", "patience"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise NASError(f"{name} must be an integer of 1 or more, got {value!r}", value)
        if not 0 < self.learning_rate < float("inf"):
            raise NASError(
                f"learning_rate must be above 0, got {self.learning_rate!r}", self.learning_rate
            )

    def override(self, decisions: Mapping[str, Any]) -> TrainingPlan:
        """Let what a space decided about training take precedence."""
        names = {f.name for f in fields(self)} - {"extra"}
        own = {name: value for name, value in decisions.items() if name in names}
        extra = {name: value for name, value in decisions.items() if name not in names}
        return replace(self, **own, extra={**self.extra, **extra})

    def to_dict(self) -> dict[str, Any]:
        """What a study's values depend on, as plain values."""
        return {name: value for name, value in asdict(self).items() if name != "extra"}

    def to_job(self) -> dict[str, Any]:
        """Arguments of `keras_nas.training.train`, and ``data_fraction``."""
        arguments = {**self.to_dict(), **self.extra}
        return {name: value for name, value in arguments.items() if value is not None}


class Candidate:
    """One candidate's time with a worker.

    Args:
        run: Runs a job there.
        folder: Where the data are.
        data: The data.
        latency_seconds: Most seconds of one latency.
        device: Command that reaches the device that latencies are of; None: this machine.
        measuring: Held while something is timed, because two measurements disturb each other.
    """

    def __init__(
        self,
        run: Callable[..., Any],
        folder: Path,
        data: Dataset,
        latency_seconds: float,
        device: Sequence[str] | None,
        measuring: threading.Lock,
    ) -> None:
        self._run = run
        self._measuring = measuring
        self._folder = folder
        self._data = data
        self._latency_seconds = latency_seconds
        self._device = device

    def anchor(self) -> float:
        """Undisturbed time of the anchor network here, in milliseconds."""
        with self._measuring:
            return float(self._run(jobs.time_anchor, self._device))

    def latency(self, graph: ArchitectureGraph, reference: float) -> LatencyProfile:
        """Measure an architecture as it would be delivered."""
        with self._measuring:
            profile = self._run(
                jobs.time_graph,
                graph.to_json(),
                self._data.preprocessing.to_dict(),
                reference,
                self._latency_seconds,
                self._device,
            )
        return LatencyProfile.from_dict(profile)

    def train(
        self, graph: ArchitectureGraph, plan: TrainingPlan, on_epoch: OnEpoch | None = None
    ) -> jobs.Training:
        """Train on the training rows and judge on the validation rows."""

        def hear(message: tuple[int, Mapping[str, float]]) -> str | None:
            return None if on_epoch is None else on_epoch(*message)

        training: jobs.Training = self._run(
            jobs.train_graph, graph.to_json(), str(self._folder), plan.to_job(), on_message=hear
        )
        return training

    def run(self, job: Callable[..., Any], *args: Any, on_message: OnMessage | None = None) -> Any:
        """Run another job, which gets the data's folder as its first argument."""
        return self._run(job, str(self._folder), *args, on_message=on_message)


class Evaluator:
    """Worker processes with the data at hand.

    Args:
        data: Written once where the workers map it into memory.
        isolation: "process" or "none".
        threads: Threads of a worker.
        time_limit: Seconds of one training.
        memory_limit: Bytes of one worker.
        latency_seconds: Most seconds of one latency.
        device: Command that reaches the device that latencies are of; None: this machine.
        folder: Where a folder for the data is made, which `close` removes. Among the temporary
            ones where left out; there it stays behind when this process is killed.
    """

    def __init__(
        self,
        data: Dataset,
        *,
        isolation: str = "process",
        threads: int | None = None,
        time_limit: float | None = None,
        memory_limit: int | None = None,
        latency_seconds: float = 0.3,
        device: Sequence[str] | None = None,
        folder: Path | None = None,
    ) -> None:
        if isolation not in ("process", "none"):
            raise NASError(f"isolation must be 'process' or 'none', got {isolation!r}", isolation)
        self._data = data
        self._isolated = isolation == "process"
        self._threads = threads
        self._time_limit = time_limit
        self._memory_limit = memory_limit
        self._latency_seconds = latency_seconds
        self._device = device
        self._parent = folder
        self._folder: Path | None = None
        self._lock = threading.Lock()
        self._measuring = threading.Lock()
        self.pool = WorkerPool(self._make)

    def _make(self) -> Worker | LocalWorker:
        if not self._isolated:
            return LocalWorker()
        return Worker(
            initializer=jobs.prepare,
            initargs=(registrations(), self._threads),
            threads=self._threads,
        )

    @contextlib.contextmanager
    def lend(self) -> Iterator[Candidate]:
        """A worker for the time of a candidate."""
        with self._lock:
            if self._folder is None:
                if self._parent is None:
                    self._folder = Path(tempfile.mkdtemp(prefix="keras_nas_"))
                else:
                    self._folder = self._parent / DATA_FOLDER
                    shutil.rmtree(self._folder, ignore_errors=True)  # of one that was killed
                self._data.save(self._folder)
                atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
            folder = self._folder
        with self.pool.worker() as worker:
            yield Candidate(
                partial(worker.run, time_limit=self._time_limit, memory_limit=self._memory_limit),
                folder,
                self._data,
                self._latency_seconds,
                self._device,
                self._measuring,
            )

    def interrupt(self, reason: str) -> None:
        """End what runs; its trials get the reason."""
        self.pool.interrupt(reason)

    def close(self) -> None:
        """End the workers and remove the data written for them."""
        self.pool.close()
        with self._lock:
            folder, self._folder = self._folder, None
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
