"""ONNX models of a node or two, made for what can be wrong with a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL

Value = tuple[str, int, list[int | str | None]]


def serialized(
    nodes: list[onnx.NodeProto],
    inputs: list[Value],
    outputs: list[Value],
    *,
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 17,
    domains: tuple[str, ...] = (),
) -> bytes:
    """A model of given nodes."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


def elementwise(
    kind: str = "Relu",
    shape: list[Any] | None = None,
    *,
    dtype: int = FLOAT,
    domain: str = "",
    opset: int = 17,
) -> bytes:
    """One node from input "x" to output "y"; its shape (1, 3) where left out."""
    shape = [1, 3] if shape is None else shape
    return serialized(
        [helper.make_node(kind, ["x"], ["y"], domain=domain)],
        [("x", dtype, shape)],
        [("y", dtype, shape)],
        opset=opset,
        domains=(domain,) if domain else (),
    )


def of_several_types() -> bytes:
    """Adds inputs of four types, each of shape ("batch", 4)."""
    types = {"i": INT64, "b": BOOL, "h": TensorProto.FLOAT16, "f": FLOAT}
    casts = [helper.make_node("Cast", [name], [f"{name}f"], to=FLOAT) for name in types]
    return serialized(
        [*casts, helper.make_node("Sum", [f"{name}f" for name in types], ["y"])],
        [(name, kind, ["batch", 4]) for name, kind in types.items()],
        [("y", FLOAT, ["batch", 4])],
    )


def larger_than_memory() -> bytes:
    """Spreads one number over 4 EiB."""
    return serialized(
        [
            helper.make_node("Expand", ["x", "shape"], ["wide"]),
            helper.make_node("ReduceSum", ["wide"], ["y"], keepdims=0),
        ],
        [("x", FLOAT, [1, 1])],
        [("y", FLOAT, [])],
        constants={"shape": np.array([2**30, 2**30], np.int64)},
    )


def two_texts() -> bytes:
    """Adds token numbers and a mask that share their free axis "length"."""
    return serialized(
        [helper.make_node("Add", ["tokens", "mask"], ["y"])],
        [("tokens", INT64, ["batch", "length"]), ("mask", INT64, ["batch", "length"])],
        [("y", INT64, ["batch", "length"])],
    )
