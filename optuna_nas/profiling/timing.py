"""`time_models`: many small models timed beside each other."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna_nas.errors import ProfilingError
from optuna_nas.profiling.anchor import ANCHOR_NAME, anchor_bytes
from optuna_nas.profiling.environment import environment
from optuna_nas.profiling.estimates import UNDISTURBED
from optuna_nas.profiling.failures import Model
from optuna_nas.profiling.measure import CPU
from optuna_nas.profiling.rounds import Run, alternate
from optuna_nas.profiling.session import load_model, require_onnxruntime

COMPANY = 24
"""Models that take turns: few enough to fit in memory, enough to share a slow spell."""

RUNS = 50
"""Time that a model is given at least, in runs: long ones are seldom left undisturbed."""


@dataclass(frozen=True)
class ModelTimes:
    """Times of models on one device.

    Args:
        ms: Milliseconds of one run of one example, by name.
        provenance: Where and how they were measured.
    """

    ms: Mapping[str, float]
    provenance: Mapping[str, Any] = field(default_factory=dict)


def time_models(
    models: Mapping[str, Callable[[], Model]],
    *,
    threads: int = 1,
    provider: str = CPU,
    seconds: float = 0.04,
    passes: int = 2,
    progress: Callable[[str], object] = lambda _: None,
) -> ModelTimes:
    """Times models in batches that take turns with the anchor, several times over.

    A model keeps the quickest run of all passes. Ratios to the anchor would not do: the least of
    several is the one whose anchor was disturbed. Batches are of models about as quick as each
    other, in the first pass of neighbours.

    Args:
        models: By name; a call gives the model, all its shapes fixed.
        threads: Threads inside an operator.
        provider: Execution provider.
        seconds: For each model in each pass; more where it does not suffice for 50 runs.
        passes: Each puts every model into other company.
        progress: Told now and then how far it is.

    Raises:
        ProfilingError: ONNX Runtime is missing or can't run a model, or an argument is off.
    """
    for name, value in (("threads", threads), ("passes", passes)):
        if value < 1:
            raise ProfilingError(f"{name}: expected at least 1, got {value}", value)
    if not seconds > 0:
        raise ProfilingError(f"seconds: expected more than 0, got {seconds}", seconds)

    def run_of(model: Model) -> Run:
        return load_model(model, threads=threads, provider=provider).run

    anchor = run_of(anchor_bytes())
    times = dict.fromkeys(models, float("inf"))
    anchors: list[float] = []
    order, mixer = list(models), random.Random(0)
    for number in range(1, passes + 1):
        order.sort(key=lambda name: times[name] * mixer.uniform(0.5, 2.0))
        for start in range(0, len(order), COMPANY):
            batch = order[start : start + COMPANY]
            runs = [run_of(models[name]()) for name in batch]
            series, _ = alternate(
                [*runs, anchor],
                warmup=3,
                budget_seconds=sum(max(seconds, RUNS * _seconds(run)) for run in runs),
                min_seconds=0.0,
                narrow=lambda _: False,
            )
            anchors.append(series.pop().minimum)
            for name, found in zip(batch, series, strict=True):
                times[name] = min(times[name], found.minimum)
            progress(f"pass {number} of {passes}: {start + len(batch)} of {len(order)} models")
    provenance = {
        **environment(),
        "onnxruntime": require_onnxruntime().__version__,
        "provider": provider,
        "threads": threads,
        "batch": 1,
        "anchor": ANCHOR_NAME,
        "anchor_ms": min(anchors, default=None),
        "disturbed_batches": sum(ms > UNDISTURBED * min(anchors) for ms in anchors),
        "batches": len(anchors),
        "seconds_a_model": seconds,
        "passes": passes,
    }
    return ModelTimes(times, provenance)


def _seconds(run: Run) -> float:
    """The quickest of three runs, for one may be interrupted."""
    quickest = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        run()
        quickest = min(quickest, time.perf_counter() - start)
    return quickest
