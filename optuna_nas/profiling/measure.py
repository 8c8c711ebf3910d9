"""`profile_onnx` and its relatives: the protocol that turns timed rounds into a `LatencyProfile`.

The protocol: one thread that does not spin, static shapes, bound inputs and outputs, warm-up until
stationary, no garbage collection, rounds in which the model alternates with a fixed anchor
network. What is kept for comparisons is the ratio of the two minima. On an ordinary machine one
candidate's minimum varies by 5 % between measurements, its ratio to the anchor's by 1 %.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from optuna_nas.errors import ProfilingError
from optuna_nas.profiling.anchor import ANCHOR_NAME, anchor_bytes
from optuna_nas.profiling.environment import environment
from optuna_nas.profiling.latency import LatencyProfile
from optuna_nas.profiling.operations import operation_times
from optuna_nas.profiling.rounds import (
    Series,
    alternate,
    median_interval,
    relative_width,
)
from optuna_nas.profiling.session import LoadedModel, Model, load_model, require_onnxruntime

if TYPE_CHECKING:
    from optuna_nas.export import Preprocessing
    from optuna_nas.graph import ArchitectureGraph

CPU = "CPUExecutionProvider"

UNDISTURBED = 1.03
"""An anchor slower than its reference by more than this tells of a slow spell of the machine."""


def profile_onnx(
    model: Model,
    *,
    batch: int = 1,
    threads: int = 1,
    provider: str = CPU,
    inputs: Mapping[str, np.ndarray] | None = None,
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
        inputs: Example arrays by input name, for models whose other axes are free or whose values
            matter; random values where left out.
        warmup: Untimed runs at least; more until the times are stationary.
        budget_seconds: Time for the rounds; at least five are run.
        target_ci: Stop once half the width of the 95 % interval, of the ratio to the anchor or
            without one of the median, is below this share of it.
        anchor: Alternate with the anchor network.
        anchor_reference_ms: The anchor's undisturbed time on this machine, from
            `anchor_reference_ms()` once a study: makes `calibrated_ms` comparable between
            measurements, and keeps a measurement from stopping in a slow spell.
        operations: Also split the time over the nodes with ONNX Runtime's profiler.
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
        "warmup": warmup,
        "budget_seconds": budget_seconds,
        "target_ci": target_ci,
        "anchor": anchor,
        "anchor_reference_ms": anchor_reference_ms,
        "operations": operations,
    }
    if isolate:
        from optuna_nas.profiling.isolated import profile_in_child

        return profile_in_child(model, options, timeout_seconds=timeout_seconds)
    return profile_many([model], **options)[0]


def profile_many(
    models: Sequence[Model],
    *,
    batch: int = 1,
    threads: int = 1,
    provider: str = CPU,
    inputs: Mapping[str, np.ndarray] | None = None,
    warmup: int = 5,
    budget_seconds: float = 1.0,
    target_ci: float = 0.01,
    anchor: bool = True,
    anchor_reference_ms: float | None = None,
    operations: bool = False,
) -> list[LatencyProfile]:
    """Measures several models side by side, all taking turns in every round.

    The way to settle the order of a few finalists: what disturbs one disturbs all. Arguments as
    for `profile_onnx`; `budget_seconds` is for each model, and rounds go on until the intervals
    of all of them are narrow.

    Returns:
        One profile for each model, in order.

    Raises:
        ProfilingError: As for `profile_onnx`.
    """
    _check(batch, threads, warmup, budget_seconds, target_ci, anchor_reference_ms)
    if not models:
        return []
    start = time.perf_counter()
    where = {
        **environment(),
        "onnxruntime": require_onnxruntime().__version__,
        "provider": provider,
        "threads": threads,
        "batch": batch,
        "anchor": ANCHOR_NAME if anchor else None,
        "warmup": warmup,
        "budget_seconds": budget_seconds,
        "target_ci": target_ci,
        "interleaved_models": len(models),
    }
    loaded = [
        load_model(model, batch=batch, threads=threads, provider=provider, inputs=inputs)
        for model in models
    ]
    runs = [item.run for item in loaded]
    if anchor:
        runs.append(_anchor(threads, provider).run)
    series, stopped_by = alternate(
        runs,
        warmup=warmup,
        budget_seconds=budget_seconds * len(models),
        min_seconds=min(0.2, budget_seconds) * len(models),
        narrow=_narrow(anchor, target_ci, anchor_reference_ms),
    )
    anchor_series = series.pop() if anchor else None
    seconds = time.perf_counter() - start
    profiles = []
    for model, item, times in zip(models, loaded, series, strict=True):
        split = (
            operation_times(
                model,
                total_ms=times.minimum,
                batch=batch,
                threads=threads,
                provider=provider,
                inputs=inputs,
            )
            if operations
            else ()
        )
        profiles.append(
            LatencyProfile(
                **_statistics(times, anchor_series),
                anchor_reference_ms=anchor_reference_ms if anchor else None,
                seconds=seconds,
                stopped_by=stopped_by,
                size_bytes=item.size_bytes,
                operations=split,
                provenance={**where, "input_shapes": item.input_shapes},
            )
        )
    return profiles


def latency_of_graph(
    graph: ArchitectureGraph,
    *,
    seed: int = 0,
    batch: int = 1,
    preprocessing: Preprocessing | None = None,
    softmax: bool = False,
    **options: Any,
) -> LatencyProfile:
    """Measures an architecture before it is trained: a skeleton with random weights, in memory.

    Needs neither Keras nor a file; writing the skeleton takes milliseconds.

    Args:
        graph: The architecture.
        seed: Of the random weights, which do not change the latency.
        batch: Batch size.
        preprocessing: Put into the model, as it would be on export.
        softmax: End in a softmax, as on export.
        **options: Passed on to `profile_onnx`.

    Raises:
        ExportError: The `onnx` package is missing, or an operation has no rule.
        ProfilingError: As for `profile_onnx`.
    """
    from optuna_nas.export import onnx_bytes

    model = onnx_bytes(graph, seed=seed, batch=batch, preprocessing=preprocessing, softmax=softmax)
    return profile_onnx(model, batch=batch, **options)


def anchor_reference_ms(
    *, seconds: float = 1.0, threads: int = 1, provider: str = CPU, repeats: int = 3
) -> float:
    """Time of the anchor on this machine in an undisturbed moment, in milliseconds.

    Measured once a study and stored with it, it turns ratios into milliseconds. The quickest of
    several measurements with pauses between them, so that a slow spell is less likely to cover
    all of them.

    Args:
        seconds: Measuring time in all; pauses of the same length come on top.
        threads: As for `profile_onnx`.
        provider: As for `profile_onnx`.
        repeats: Number of measurements.
    """
    quickest = float("inf")
    for repeat in range(repeats):
        if repeat:
            time.sleep(seconds / repeats)
        profile = profile_onnx(
            anchor_bytes(),
            threads=threads,
            provider=provider,
            anchor=False,
            budget_seconds=seconds / repeats,
            target_ci=0.0,
        )
        quickest = min(quickest, profile.min_ms)
    return quickest


@lru_cache(maxsize=4)
def _anchor(threads: int, provider: str) -> LoadedModel:
    """The anchor, loaded once a process: where its memory lies changes its time by a percent."""
    return load_model(anchor_bytes(), threads=threads, provider=provider)


def _check(
    batch: int,
    threads: int,
    warmup: int,
    budget_seconds: float,
    target_ci: float,
    reference: float | None,
) -> None:
    for name, value in (("batch", batch), ("threads", threads), ("warmup", warmup)):
        if value < 1:
            raise ProfilingError(f"{name}: expected at least 1, got {value}", value)
    if not budget_seconds > 0:
        raise ProfilingError(f"budget_seconds: expected more than 0, got {budget_seconds}")
    if not 0 <= target_ci < 1:
        raise ProfilingError(f"target_ci: expected a share in [0, 1), got {target_ci}", target_ci)
    if reference is not None and not reference > 0:
        raise ProfilingError(f"anchor_reference_ms: expected more than 0 ms, got {reference}")


def _narrow(
    anchor: bool, target: float, reference: float | None
) -> Callable[[Sequence[Series]], bool]:
    """When the rounds may end: intervals narrow, and the machine not in a slow spell."""

    def narrow(series: Sequence[Series]) -> bool:
        if not anchor:
            medians = [times.round_medians() for times in series]
            return all(relative_width(median_interval(values)) <= target for values in medians)
        *models, beside = series
        if reference is not None and beside.minimum > UNDISTURBED * reference:
            return False
        pace = beside.round_medians()
        return all(
            relative_width(median_interval(times.round_medians() / pace)) <= target
            for times in models
        )

    return narrow


def _statistics(times: Series, anchor: Series | None) -> dict[str, Any]:
    medians = times.round_medians()
    minimum = times.minimum
    return {
        "median_ms": float(np.median(medians)),
        "p90_ms": float(np.quantile(times.samples, 0.9)),
        "min_ms": minimum,
        "ci_ms": median_interval(medians),
        "ratio_to_anchor": None if anchor is None else minimum / anchor.minimum,
        "ratio_ci": None if anchor is None else median_interval(medians / anchor.round_medians()),
        "anchor_ms": None if anchor is None else anchor.minimum,
        "runs": times.runs,
        "rounds": len(times.rounds),
    }
