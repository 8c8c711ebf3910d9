"""The counter of multiply-accumulates by hand, and one draw of every ready space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import spaces as benchmark
from onnx import TensorProto, helper, numpy_helper
from onnx_macs import onnx_macs

from optuna_nas.graph import GraphBuilder, operations
from optuna_nas.spaces import chain_cnn


def model(nodes: list[onnx.NodeProto], shape: tuple[int, ...], **weights: np.ndarray) -> object:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def test_convolutions_by_hand() -> None:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[2, 2], group=2)
    # Of 7x7 pixels a 3x3 window with strides of 2 gives 3x3.
    found = onnx_macs(model([node], (1, 4, 7, 7), w=ones(6, 2, 3, 3), b=ones(6)))
    assert found == 3 * 3 * 6 * (3 * 3 * 2 + 1)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1])
    assert onnx_macs(model([node], (1, 4, 9), w=ones(5, 4, 3))) == 9 * 5 * 4 * 3


def test_products_by_hand() -> None:
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    assert onnx_macs(model([node], (1, 8), w=ones(3, 8), b=ones(3))) == 8 * 3 + 3
    product = helper.make_node("MatMul", ["x", "w"], ["z"])
    bias = helper.make_node("Add", ["z", "b"], ["y"])
    assert onnx_macs(model([product, bias], (1, 5, 8), w=ones(8, 3), b=ones(3))) == 5 * (8 * 3 + 3)
    # The sum of two values is not a bias.
    twice = helper.make_node("Add", ["z", "z"], ["y"])
    assert onnx_macs(model([product, twice], (1, 5, 8), w=ones(8, 3))) == 5 * 8 * 3


def test_recurrence_by_hand() -> None:
    node = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=3)
    bias = np.concatenate([ones(1, 12), 0 * ones(1, 12)], axis=1)
    found = onnx_macs(model([node], (7, 1, 2), w=ones(1, 12, 2), r=ones(1, 12, 3), b=bias))
    assert found == 7 * 4 * (2 * 3 + 3 * 3 + 3)


def test_what_else_there_is_costs_nothing() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["z"]), helper.make_node("Mul", ["z", "z"], ["y"])]
    assert onnx_macs(model(nodes, (1, 4))) == 0


def test_a_wrong_count_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = GraphBuilder((8, 8, 3))
    x = builder.add("conv2d", {"filters": 4, "kernel_size": 3}, ["input"])
    x = builder.add("batch_normalization", {}, [x])
    x = builder.add("global_average_pooling2d", {}, [x])
    graph = builder.graph(builder.add("dense", {"units": 2}, [x]))
    assert benchmark.macs_error(graph) == 0
    wrong = replace(operations.get_operation("conv2d"), macs=lambda _a, _i: 0)
    monkeypatch.setitem(operations._OPERATIONS, "conv2d", wrong)
    assert benchmark.macs_error(graph) > 0.9


@pytest.mark.slow
def test_a_draw_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(benchmark.SMALL) <= set(benchmark.ready_spaces())
    small = chain_cnn(**{**benchmark.SMALL["chain_cnn"], "stages": 1})
    found = benchmark.check(small, small, draws=1, seed=0)
    assert found.failures == {}
    assert (found.params, found.trained, found.agrees, found.returns) == (1, 1, 1, 1)
    monkeypatch.setattr(benchmark, "build_model", lambda graph, seed: 1 / 0)
    found = benchmark.check(small, small, draws=2, seed=0)
    assert found.failures == {"ZeroDivisionError: division by zero": 2}
