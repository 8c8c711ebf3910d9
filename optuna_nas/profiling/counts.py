"""Parameters and multiply-accumulates of an .onnx file, from its nodes and ONNX's shape inference.

It knows nothing of architecture graphs, so that it can check them. What counts is as there: a
multiplication with its addition in convolutions, matrix products and recurrent layers, and one for
each bias that is added to an output; all else is free.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from optuna_nas.profiling.failures import Model

Shapes = Mapping[str, tuple[int, ...]]


def count(model: Model, input_shapes: Mapping[str, Sequence[int]]) -> tuple[int | None, int | None]:
    """Parameters and multiply-accumulates of a model for inputs of given shapes.

    Parameters are the numbers stored as weights, as exported: folded batch normalisations are
    gone, constants of the network's own are in.

    Returns:
        Both, None where one can't be told: without the `onnx` package, and of multiply-accumulates
        where the model has operators outside ONNX's standard or shapes that depend on values.
    """
    try:
        onnx = _onnx()
    except ImportError:
        return None, None
    if isinstance(model, bytes):
        loaded = onnx.load_from_string(model)
    else:
        loaded = onnx.load(os.fspath(model))
    params = sum(
        math.prod(item.dims)
        for item in loaded.graph.initializer
        if item.data_type not in (onnx.TensorProto.INT64, onnx.TensorProto.BOOL)  # shapes, flags
    )
    for value in loaded.graph.input:
        if value.name in input_shapes:
            sizes = value.type.tensor_type.shape.dim
            for size, fixed in zip(sizes, input_shapes[value.name], strict=True):
                size.dim_value = fixed
    del loaded.graph.value_info[:]  # as exported, with free axes
    for value in loaded.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        return params, onnx_macs(loaded)
    except (ValueError, onnx.shape_inference.InferenceError):
        return params, None


def onnx_macs(model: Any) -> int:
    """Multiply-accumulates of an `onnx.ModelProto` whose batch is fixed to 1.

    Raises:
        ValueError: A shape that is needed is not known.
    """
    onnx = _onnx()
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    shapes: dict[str, tuple[int, ...]] = {name: a.shape for name, a in constants.items()}
    for value in (*graph.input, *graph.value_info, *graph.output):
        sizes = value.type.tensor_type.shape.dim
        if all(size.HasField("dim_value") for size in sizes):
            shapes[value.name] = tuple(size.dim_value for size in sizes)
    products = {node.output[0] for node in graph.node if node.op_type == "MatMul"}
    total = 0
    for node in graph.node:
        if node.op_type == "Add":
            is_bias = any(name in constants and constants[name].ndim == 1 for name in node.input)
            if is_bias and products.intersection(node.input):
                total += math.prod(_shape(shapes, node.output[0]))
        elif node.domain not in ("", "ai.onnx"):
            raise ValueError(f"what {node.domain}:{node.op_type} computes is not known")
        elif node.op_type in _RULES:
            total += _RULES[node.op_type](node, shapes, constants)
    return total


def _onnx() -> Any:
    importlib.import_module("onnx.shape_inference")
    return importlib.import_module("onnx")


def _shape(shapes: Shapes, name: str) -> tuple[int, ...]:
    if name not in shapes:
        raise ValueError(f"the shape of {name!r} is not known")
    return shapes[name]


def _attribute(node: Any, name: str, default: int) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), default)


def _convolution(node: Any, shapes: Shapes, _constants: Mapping[str, np.ndarray]) -> int:
    output = math.prod(_shape(shapes, node.output[0]))
    _, *window = _shape(shapes, node.input[1])  # (filters, inputs / groups, ...)
    return output * (math.prod(window) + (len(node.input) > 2))


def _transposed_convolution(node: Any, shapes: Shapes, _constants: Mapping[str, np.ndarray]) -> int:
    _, *window = _shape(shapes, node.input[1])  # (inputs, filters / groups, ...)
    biases = math.prod(_shape(shapes, node.output[0])) if len(node.input) > 2 else 0
    return math.prod(_shape(shapes, node.input[0])) * math.prod(window) + biases


def _gemm(node: Any, shapes: Shapes, _constants: Mapping[str, np.ndarray]) -> int:
    rows, inner = _shape(shapes, node.input[0])
    if _attribute(node, "transA", 0):
        rows, inner = inner, rows
    columns = _shape(shapes, node.output[0])[1]
    return rows * columns * (inner + (len(node.input) > 2))


def _product(node: Any, shapes: Shapes, _constants: Mapping[str, np.ndarray]) -> int:
    return math.prod(_shape(shapes, node.output[0])) * _shape(shapes, node.input[0])[-1]


def _recurrent(node: Any, shapes: Shapes, constants: Mapping[str, np.ndarray]) -> int:
    """Matrices of the input and the state, and the biases that are not there to fill up."""
    steps, batch, _ = _shape(shapes, node.input[0])
    matrices = sum(math.prod(_shape(shapes, name)) for name in node.input[1:3])
    biases = int(np.count_nonzero(constants[node.input[3]])) if len(node.input) > 3 else 0
    return steps * batch * (matrices + biases)


_RULES: dict[str, Callable[[Any, Shapes, Mapping[str, np.ndarray]], int]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Gemm": _gemm,
    "MatMul": _product,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
}
