"""The counter of multiply-accumulates by hand."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optuna_nas.export import onnx_bytes
from optuna_nas.profiling import profile_onnx
from optuna_nas.profiling.counts import count, onnx_macs
from tests.optuna_nas.profiling import small_models


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


def test_transposed_convolutions_by_hand() -> None:
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], strides=[2, 2])
    # Each of 4x4x3 inputs is spread over 2x2x5; the output is 8x8x5.
    found = onnx_macs(model([node], (1, 3, 4, 4), w=ones(3, 5, 2, 2), b=ones(5)))
    assert found == 4 * 4 * 3 * (2 * 2 * 5) + 8 * 8 * 5


def test_a_file_counts_as_its_graph(graph) -> None:
    shapes = {"input": [1, *graph.input_shape]}
    # Batch normalisation is folded into kernel and bias: 2 of its 4 numbers a channel go, and it
    # has no cost of its own.
    params, macs = count(onnx_bytes(graph), shapes)
    assert params == 3 * 3 * 3 * 8 + 8 + 8 * 3 + 3
    assert macs == 64 * 8 * (3 * 3 * 3 + 1) + 8 * 3 + 3
    assert count(onnx_bytes(graph, batch=None), {"input": [5, *graph.input_shape]})[1] == 5 * macs


def test_what_is_not_known_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = small_models.elementwise("Fancy", domain="com.nowhere")
    assert count(foreign, {"x": [1, 3]}) == (0, None)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    assert count(foreign, {"x": [1, 3]}) == (None, None)


def test_profiles_tell_the_counts_with_the_operations(free_batch) -> None:
    profile = profile_onnx(free_batch, operations=True, batch=2, budget_seconds=0.05)
    assert (profile.params, profile.macs) == count(free_batch, profile.provenance["input_shapes"])
    assert profile.macs
    without = profile_onnx(free_batch, batch=2, budget_seconds=0.05)
    assert (without.params, without.macs) == (None, None)
