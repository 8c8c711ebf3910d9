"""Time by operation, from ONNX Runtime's own profiler."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from optuna_nas.profiling.failures import Model
from optuna_nas.profiling.inputs import Shapes
from optuna_nas.profiling.latency import OperationTime
from optuna_nas.profiling.session import load_model

_SUFFIX = "_kernel_time"


def operation_times(
    model: Model,
    *,
    total_ms: float,
    batch: int,
    threads: int,
    provider: str,
    inputs: Mapping[str, np.ndarray] | None,
    shapes: Shapes | None = None,
    runs: int = 30,
) -> tuple[OperationTime, ...]:
    """Splits a latency over the nodes of the optimised model, in their order of execution.

    The profiler counts whole microseconds and makes runs half as long again, so each node's mean
    over ``runs`` gives its share, and ``total_ms``, measured without it, is divided accordingly.
    """
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_model(
            model,
            batch=batch,
            threads=threads,
            provider=provider,
            inputs=inputs,
            shapes=shapes,
            profile_prefix=str(Path(folder) / "profile"),
        )
        for _ in range(runs):
            loaded.run()
        events = json.loads(Path(loaded.session.end_profiling()).read_text())
    durations: dict[tuple[str, str], list[float]] = {}
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith(_SUFFIX):
            key = (name.removesuffix(_SUFFIX), event["args"].get("op_name", "?"))
            durations.setdefault(key, []).append(float(event["dur"]))
    # A fifth off each end: a node that was interrupted once must not look dear.
    means = {key: _trimmed_mean(np.sort(values)) for key, values in durations.items()}
    total = sum(means.values()) or 1.0
    return tuple(
        OperationTime(name, kind, mean / total, mean / total * total_ms)
        for (name, kind), mean in means.items()
    )


def _trimmed_mean(values: np.ndarray) -> float:
    cut = len(values) // 5
    return float(values[cut : len(values) - cut].mean())
