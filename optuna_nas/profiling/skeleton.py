"""`latency_of_graph`: the latency of an architecture that is not trained yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna_nas.export import Preprocessing, onnx_bytes
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.profiling.latency import LatencyProfile
from optuna_nas.profiling.measure import profile_onnx
from optuna_nas.profiling.remote import profile_remote


def latency_of_graph(
    graph: ArchitectureGraph,
    *,
    seed: int = 0,
    batch: int = 1,
    preprocessing: Preprocessing | None = None,
    softmax: bool = False,
    command: Sequence[str] | None = None,
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
        command: Measure on the device that this reaches, see `profile_remote`.
        **options: Passed on to `profile_onnx`.

    Raises:
        ExportError: The `onnx` package is missing, or an operation has no rule.
        ProfilingError: As for `profile_onnx`.
    """
    model = onnx_bytes(graph, seed=seed, batch=batch, preprocessing=preprocessing, softmax=softmax)
    if command is not None:
        return profile_remote(model, command=command, batch=batch, **options)
    return profile_onnx(model, batch=batch, **options)
