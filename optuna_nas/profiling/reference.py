"""`anchor_reference_ms`: what turns ratios to the anchor into milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from optuna_nas.profiling.anchor import anchor_bytes
from optuna_nas.profiling.latency import LatencyProfile
from optuna_nas.profiling.measure import CPU, profile_onnx
from optuna_nas.profiling.remote import profile_remote


def anchor_reference_ms(
    *,
    seconds: float = 1.0,
    threads: int = 1,
    provider: str = CPU,
    repeats: int = 3,
    command: Sequence[str] | None = None,
) -> float:
    """Time of the anchor here or on a device, in an undisturbed moment, in milliseconds.

    Measured once a study and stored with it, it turns ratios into milliseconds. The quickest of
    several measurements with pauses between them, so that a slow spell is less likely to cover
    all of them.

    Args:
        seconds: Measuring time in all; pauses of the same length come on top.
        threads: As for `profile_onnx`.
        provider: As for `profile_onnx`.
        repeats: Number of measurements.
        command: Measure on the device that this reaches, see `profile_remote`.
    """
    measure: Callable[..., LatencyProfile] = profile_onnx
    if command is not None:
        measure = partial(profile_remote, command=command)
    quickest = float("inf")
    for repeat in range(repeats):
        if repeat:
            time.sleep(seconds / repeats)
        profile = measure(
            anchor_bytes(),
            threads=threads,
            provider=provider,
            anchor=False,
            budget_seconds=seconds / repeats,
            target_ci=0.0,
        )
        quickest = min(quickest, profile.min_ms)
    return quickest
