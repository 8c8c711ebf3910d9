from __future__ import annotations

import pytest

from optuna_nas.export import onnx_bytes
from optuna_nas.graph import ArchitectureGraph, GraphBuilder


def network(width: int, *, input_shape: tuple[int, ...] = (8, 8, 3)) -> ArchitectureGraph:
    builder = GraphBuilder(input_shape)
    value = builder.add("conv2d", {"filters": width, "kernel_size": (3, 3)}, ["input"])
    value = builder.add("batch_normalization", {}, [value])
    value = builder.add("activation", {"function": "relu"}, [value])
    value = builder.add("global_average_pooling2d", {}, [value])
    return builder.graph(builder.add("dense", {"units": 3}, [value], name="logits"))


@pytest.fixture(scope="session")
def graph() -> ArchitectureGraph:
    return network(8)


@pytest.fixture(scope="session")
def model(graph: ArchitectureGraph) -> bytes:
    return onnx_bytes(graph)


@pytest.fixture(scope="session")
def free_batch(graph: ArchitectureGraph) -> bytes:
    return onnx_bytes(graph, batch=None)
