"""A device whose times are known exactly: networks cost what their operations do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from optuna_nas.graph import ArchitectureGraph, Shape
from optuna_nas.profiling import LatencyJob, ModelTimes
from optuna_nas.profiling.fusion import FusedOperation, fused_operations
from optuna_nas.profiling.job import EMPTY
from optuna_nas.profiling.operation_models import has_probe

OFFSET, SCALE, MS_PER_MB = 0.03, 1.2, 0.5
EMPTY_MS = 0.002
WHERE = {"cpu": "made up", "threads": 1, "batch": 1, "onnxruntime": "0", "provider": "none"}


def operation_ms(operation: FusedOperation) -> float:
    """Every kind has a rate of its own."""
    return operation.work * 1e-6 * (1.0 + len(operation.kind) % 7)


def probes_ms(shape: Shape) -> float:
    return EMPTY_MS + 1e-6 * prod(shape)


def model_ms(operation: FusedOperation) -> float:
    """The operation, between probes of which half is on each side, in one run."""
    ports = (*operation.inputs, operation.output)
    halves = [probes_ms(s) - EMPTY_MS if has_probe(s) else 0.0 for s in ports]
    return EMPTY_MS + sum(halves) / 2 + operation_ms(operation)


def network_ms(graph: ArchitectureGraph) -> float:
    operations = fused_operations(graph)
    time = sum(count * operation_ms(o) for o, count in operations.items())
    megabytes = sum(count * o.weights for o, count in operations.items()) * 4e-6
    return OFFSET + SCALE * time + MS_PER_MB * megabytes


def fake_times(job: LatencyJob) -> ModelTimes:
    times = {name: EMPTY_MS + 0.0003 * layers for layers, name in EMPTY.items()}
    times |= {name: probes_ms(shape) for name, shape in job.probes.items()}
    times |= {key: model_ms(operation) for key, operation in job.operations.items()}
    times |= {f"network {k}": network_ms(graph) for k, graph in enumerate(job.fitted)}
    times |= {f"held-out network {k}": network_ms(graph) for k, graph in enumerate(job.judged)}
    return ModelTimes(times, WHERE)


def fake_timer(job: LatencyJob) -> Callable[[Mapping[str, Callable[[], bytes]]], ModelTimes]:
    """Times a job's models without writing them."""

    def timer(models: Mapping[str, Callable[[], bytes]]) -> ModelTimes:
        assert set(models) == set(job.models)
        return fake_times(job)

    return timer
