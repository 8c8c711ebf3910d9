"""`profile_onnx` and `profile_many`: the protocol that turns timed rounds into a `LatencyProfile`.

The protocol: one thread that does not spin, static shapes, bound inputs and outputs, warm-up until
stationary, no garbage collection, rounds in which the model alternates with a fixed anchor
network. What is kept for comparisons is the ratio of the two minima. On an ordinary machine one
candidate's minimum varies by 5 % between measurements, its ratio to the anchor's by 1 %.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from optuna_nas.errors import ProfilingError
from optuna_nas.profiling.anchor import ANCHOR_NAME, anchor_bytes
from optuna_nas.profiling.counts import count
from optuna_nas.profiling.energy import EnergyMeter, energy_meter
from optuna_nas.profiling.environment import environment
from optuna_nas.profiling.estimates import figures, narrow_enough
from optuna_nas.profiling.failures import Model
from optuna_nas.profiling.inputs import Shapes
from optuna_nas.profiling.latency import LatencyProfile
from optuna_nas.profiling.operations import operation_times
from optuna_nas.profiling.rounds import alternate
from optuna_nas.profiling.session import LoadedModel, load_model, require_onnxruntime

CPU = "CPUExecutionProvider"


def profile_onnx(
    model: Model,
    *,
    batch: int = 1,
    threads: int = 1,
    provider: str = CPU,
    inputs: Mapping[str, np.ndarray] | None = None,
    shapes: Shapes | None = None,
    warmup: int = 5,
    budget_seconds: float = 1.0,
    target_ci: float = 0.01,
    anchor: bool = True,
    anchor_reference_ms: float | None = None,
    operations: bool = False,
    isolate: bool = False,
    timeout_seconds: float = 600.0,
) -> LatencyProfile:
    """Measures the latency of an ONNX model on this machine.

    Args:
        model: Path of an .onnx file, or its bytes.
        batch: Size given to a free first axis; a fixed one stays as it is.
        threads: Threads inside an operator; operators run one after another.
        provider: ONNX Runtime's execution provider.
        inputs: Example arrays by input name, for models whose values matter; random values
            where left out.
        shapes: Shapes by input name, for models whose other axes are free:
            ``{"image": (1, 3, 224, 224)}``.
        warmup: Untimed runs at least; more until the times are stationary.
        budget_seconds: Time for the rounds; at least five are run.
        target_ci: Stop once half the width of the 95 % interval, of the ratio to the anchor or
            without one of the median, is below this share of it.
        anchor: Alternate with the anchor network.
        anchor_reference_ms: The anchor's undisturbed time on this machine, from
            `anchor_reference_ms()` once a study: makes `calibrated_ms` comparable between
            measurements, and keeps a measurement from stopping in a slow spell.
        operations: Also split the time over the nodes with ONNX Runtime's profiler, and count
            parameters and multiply-accumulates.
        isolate: Measure in a fresh process: a model that crashes it costs a ProfilingError, and
            peak memory is measured.
        timeout_seconds: With ``isolate``, give up on the process after this long.

    Raises:
        ProfilingError: ONNX Runtime is missing, or the model can't be loaded, run or fed.
    """
    options: dict[str, Any] = {
        "batch": batch,
        "threads": threads,
        "provider": provider,
        "inputs": inputs,
        "shapes": shapes,
        "warmup": warmup,
        "budget_seconds": budget_seconds,
        "target_ci": target_ci,
        "anchor": anchor,
        "anchor_reference_ms": anchor_reference_ms,
        "operations": operations,
    }
    (profile,) = profile_many([model], isolate=isolate, timeout_seconds=timeout_seconds, **options)
    return profile


def profile_many(
    models: Sequence[Model],
    *,
    batch: int | Sequence[int] = 1,
    threads: int = 1,
    provider: str = CPU,
    inputs: Mapping[str, np.ndarray] | None = None,
    shapes: Shapes | None = None,
    warmup: int = 5,
    budget_seconds: float = 1.0,
    target_ci: float = 0.01,
    anchor: bool = True,
    anchor_reference_ms: float | None = None,
    operations: bool = False,
    isolate: bool = False,
    timeout_seconds: float = 600.0,
) -> list[LatencyProfile]:
    """Measures several models side by side, all taking turns in every round.

    The way to settle the order of a few finalists: what disturbs one disturbs all. Arguments as
    for `profile_onnx`; `budget_seconds` is for each model, and rounds go on until the intervals
    of all of them are narrow. `batch` may be a list, one for each model: the same model at three
    sizes is ``profile_many([model] * 3, batch=[1, 8, 32])``.

    Returns:
        One profile for each model, in order.

    Raises:
        ProfilingError: As for `profile_onnx`.
    """
    batches = [batch] * len(models) if isinstance(batch, int) else list(batch)
    if len(batches) != len(models):
        raise ProfilingError(
            f"batch: expected one size, or one for each of {len(models)} models, got {batches}",
            batch,
        )
    _check(batches or [1], threads, warmup, budget_seconds, target_ci, anchor_reference_ms)
    if not models:
        return []
    loading: dict[str, Any] = {
        "threads": threads,
        "provider": provider,
        "inputs": inputs,
        "shapes": shapes,
    }
    if isolate:
        from optuna_nas.profiling.isolated import profile_in_child

        options = {
            **loading,
            "batch": batches,
            "warmup": warmup,
            "budget_seconds": budget_seconds,
            "target_ci": target_ci,
            "anchor": anchor,
            "anchor_reference_ms": anchor_reference_ms,
            "operations": operations,
        }
        return profile_in_child(models, options, timeout_seconds=timeout_seconds)
    start = time.perf_counter()
    meter = energy_meter()
    where = {
        **environment(),
        "onnxruntime": require_onnxruntime().__version__,
        "provider": provider,
        "threads": threads,
        "anchor": ANCHOR_NAME if anchor else None,
        "warmup": warmup,
        "budget_seconds": budget_seconds,
        "target_ci": target_ci,
        "interleaved_models": len(models),
    }
    loaded = [
        load_model(model, batch=size, **loading)
        for model, size in zip(models, batches, strict=True)
    ]
    runs = [item.run for item in loaded]
    if anchor:
        runs.append(_anchor(threads, provider).run)
    series, stopped_by = alternate(
        runs,
        warmup=warmup,
        budget_seconds=budget_seconds * len(models),
        min_seconds=min(0.2, budget_seconds) * len(models),
        narrow=narrow_enough(anchor, target_ci, anchor_reference_ms),
        meter=meter if isinstance(meter, EnergyMeter) else None,
    )
    anchor_series = series.pop() if anchor else None
    seconds = time.perf_counter() - start
    profiles = []
    for model, size, item, times in zip(models, batches, loaded, series, strict=True):
        details: dict[str, Any] = {}
        if operations:
            total_ms = times.minimum
            details["operations"] = operation_times(model, total_ms=total_ms, batch=size, **loading)
            details["params"], details["macs"] = count(model, item.input_shapes)
        profiles.append(
            LatencyProfile(
                **figures(times, anchor_series),
                anchor_reference_ms=anchor_reference_ms if anchor else None,
                seconds=seconds,
                stopped_by=stopped_by,
                size_bytes=item.size_bytes,
                **details,
                provenance={
                    **where,
                    "batch": item.batch or size,
                    "input_shapes": item.input_shapes,
                    "energy": _energy_source(meter, times.millijoules),
                },
            )
        )
    return profiles


@lru_cache(maxsize=4)
def _anchor(threads: int, provider: str) -> LoadedModel:
    """The anchor, loaded once a process: where its memory lies changes its time by a percent."""
    return load_model(anchor_bytes(), threads=threads, provider=provider)


def _energy_source(meter: EnergyMeter | str, millijoules: float | None) -> str:
    if isinstance(meter, str):
        return meter
    if millijoules is None:
        return f"not measured: {meter.source} stands still"
    return meter.source


def _check(
    batches: Sequence[int],
    threads: int,
    warmup: int,
    budget_seconds: float,
    target_ci: float,
    reference: float | None,
) -> None:
    for name, value in (("batch", min(batches)), ("threads", threads), ("warmup", warmup)):
        if value < 1:
            raise ProfilingError(f"{name}: expected at least 1, got {value}", value)
    if not budget_seconds > 0:
        raise ProfilingError(f"budget_seconds: expected more than 0, got {budget_seconds}")
    if not 0 <= target_ci < 1:
        raise ProfilingError(f"target_ci: expected a share in [0, 1), got {target_ci}", target_ci)
    if reference is not None and not reference > 0:
        raise ProfilingError(f"anchor_reference_ms: expected more than 0 ms, got {reference}")
