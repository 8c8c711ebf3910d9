"""Small ONNX models from whose times that of one fused operation follows.

An operation measured alone pays for what it doesn't in a network: the start of a run, and bringing
images into the layout in which the runtime convolves and back, which can take longer than itself.
So it is put between *probes*, the cheapest convolutions there are, and what they take is
subtracted. With M the time of the model, P(s) that of two probes of shape s in a row, and E that of
a run in which nothing is computed,

    T = M - (sum of P(s) over all shapes s read and given) / 2 + (n / 2 - 1) E                  (1)

where n counts the inputs and outputs. Those that are no images have no probe, and P = E. Starts of
runs, probes and changes of layout cancel. A model without layers is none, so with C(k) the time of
k layers of one number each,

    E = C(1) - (C(k) - C(1)) / (k - 1)                                                           (2)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna_nas.export import Layout, Writer, random_weights, require_onnx
from optuna_nas.export.model import DEFAULT_OPSET, serialized
from optuna_nas.export.rules import rule_for
from optuna_nas.graph import ArchitectureGraph, LayerSpec, Shape, get_operation
from optuna_nas.profiling.fusion import MERGES, FusedOperation, Part

_SEQUENCES = ("conv1d", "pooling1d")
_ONE = (1, 1)
_PROBE = Part(
    "depthwise_conv2d",
    {
        "kernel_size": _ONE,
        "strides": _ONE,
        "padding": "same",
        "dilation_rate": _ONE,
        "use_bias": True,
    },
)
# Its own activation, of a kind that others don't merge with, keeps theirs from joining it.
_PROBE_END = Part("activation", {"function": "leaky_relu"})


def operation_time(
    model_ms: float, operation: FusedOperation, probes_ms: Mapping[Shape, float], empty_ms: float
) -> float:
    """Time of an operation in milliseconds by (1), at least 0.

    Args:
        model_ms: M, of `operation_model`.
        operation: The operation.
        probes_ms: P, of `probe_model` for every image shape.
        empty_ms: E, of `empty_time`.
    """
    ports = (*operation.inputs, operation.output)
    probes = sum(probes_ms[shape] if has_probe(shape) else empty_ms for shape in ports)
    return max(0.0, model_ms - probes / 2 + (len(ports) / 2 - 1) * empty_ms)  # (1)


def operation_model(operation: FusedOperation) -> bytes:
    """M in (1): the operation between probes, serialized, batch 1.

    Raises:
        UnsupportedOperationError: A layer has no ONNX rule.
    """
    layers = [
        LayerSpec(f"input{k}", "input", {"shape": shape})
        for k, shape in enumerate(operation.inputs)
    ]
    values = [
        _probed(layers, layer.name, shape)
        for layer, shape in zip(tuple(layers), operation.inputs, strict=True)
    ]
    first, *others = operation.parts
    # The first layer reads all there is but what additions further down the chain read.
    additions = sum(part.op == "add" for part in others)
    split = len(values) - additions
    read, waiting = values[:split], values[split:]
    if first.op in MERGES and len(read) == 1:
        read.append(_constant(layers, read[0]))
    chain = _add(layers, first, read)
    for part in others:
        beside = [waiting.pop(0)] if part.op == "add" else []
        chain = _add(layers, part, [chain, *beside])
    _probed(layers, chain, operation.output)
    return _serialized(layers)


def probe_model(shape: Shape) -> bytes:
    """P(s) in (1): two probes of an image's shape in a row, serialized, batch 1."""
    layers = [LayerSpec("input0", "input", {"shape": shape})]
    _probed(layers, _probed(layers, "input0", shape), shape)
    return _serialized(layers)


def empty_time(times_ms: Mapping[int, float]) -> float:
    """E in milliseconds by (2), at least 0, from times of `empty_model` by number of layers."""
    few, many = min(times_ms), max(times_ms)
    layer = (times_ms[many] - times_ms[few]) / (many - few)
    return max(0.0, times_ms[few] - few * layer)


def empty_model(layers: int) -> bytes:
    """C(layers) in (2): a model with next to nothing to do."""
    added = [LayerSpec("input0", "input", {"shape": (1,)})]
    value = "input0"
    for _ in range(layers):
        value = _add(added, Part("activation", {"function": "relu"}), [value])
    return _serialized(added)


def has_probe(shape: Shape) -> bool:
    """Whether values of a shape pass probes: images do."""
    return len(shape) == 3


def _add(layers: list[LayerSpec], part: Part, inputs: Sequence[str]) -> str:
    name = f"layer{len(layers)}"
    layers.append(LayerSpec(name, part.op, part.attributes, tuple(inputs)))
    return name


def _constant(layers: list[LayerSpec], value: str) -> str:
    """A value that the runtime computes beforehand, of the shape of another, and not zero."""
    attributes = get_operation("batch_normalization").attributes({})
    zero = _add(layers, Part("zero", {}), [value])
    return _add(layers, Part("batch_normalization", attributes), [zero])


def _probed(layers: list[LayerSpec], value: str, shape: Shape) -> str:
    if not has_probe(shape):
        return value
    return _add(layers, _PROBE_END, [_add(layers, _PROBE, [value])])


def _serialized(layers: Sequence[LayerSpec]) -> bytes:
    """An ONNX model whose inputs and outputs are laid out as between a network's layers."""
    onnx = require_onnx()
    helper = onnx.helper
    graph = ArchitectureGraph(layers)
    tokens = any(layer.op == "embedding" for layer in layers)
    slides = any(layer.op.endswith(_SEQUENCES) for layer in layers)
    writer = Writer(graph, random_weights(graph), opset=DEFAULT_OPSET, tokens=tokens)
    kind = onnx.TensorProto.INT64 if tokens else onnx.TensorProto.FLOAT
    inputs: list[Any] = []
    for layer in layers:
        if layer.op != "input":
            rule_for(layer).write(writer, layer)
            continue
        shape = graph.shapes[layer.name]
        first = len(shape) == 3 or (len(shape) == 2 and slides)
        sizes = [1, shape[-1], *shape[:-1]] if first else [1, *shape]
        inputs.append(helper.make_tensor_value_info(writer.unique(layer.name), kind, sizes))
        writer.put(layer, layer.name, Layout.FIRST if first else Layout.LAST)
    layout = Layout.FIRST if writer.has(graph.output, Layout.FIRST) else Layout.LAST
    tensor = writer.read(graph.output, layout)
    output = helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None)
    return serialized(
        helper.make_graph(writer.nodes, "operation", inputs, [output], writer.initializers)
    )
