"""One rule for each operation: the ONNX nodes it becomes, and the weights it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import count
from types import MappingProxyType
from typing import Any

import numpy as np

from optuna_nas.errors import OperationError, UnsupportedOperationError
from optuna_nas.export.activations import ACTIVATIONS
from optuna_nas.export.writer import Layout, Writer
from optuna_nas.graph import LayerSpec, Shape

WeightShapes = dict[str, tuple[int, ...]]


def _no_weights(_attributes: Mapping[str, Any], _inputs: Sequence[Shape]) -> WeightShapes:
    return {}


@dataclass(frozen=True)
class Rule:
    """How one operation is written.

    Args:
        write: ``(writer, layer) -> None``: reads its inputs from the writer, appends nodes, puts
            the layer's value.
        weights: ``(attributes, input shapes) -> {weight name: shape}`` in Keras's layouts.
    """

    write: Callable[[Writer, LayerSpec], None]
    weights: Callable[[Mapping[str, Any], Sequence[Shape]], WeightShapes] = _no_weights


def rule_for(layer: LayerSpec) -> Rule:
    """The rule of a layer's operation.

    Raises:
        UnsupportedOperationError: There is none.
    """
    try:
        return _RULES[layer.op]
    except KeyError:
        raise UnsupportedOperationError(
            f"layer {layer.name!r}: operation {layer.op!r} has no ONNX rule; add one with "
            "optuna_nas.export.register_rule",
            layer.op,
        ) from None


def register_rule(operation: str, rule: Rule, *, replace: bool = False) -> None:
    """Adds the rule of an operation of your own.

    Raises:
        OperationError: There is one already and ``replace`` is False.
    """
    if operation in _RULES and not replace:
        raise OperationError(
            f"operation {operation!r} has an ONNX rule already; pass replace=True to replace it",
            operation,
        )
    _RULES[operation] = rule


def registered_rules() -> Mapping[str, Rule]:
    """All rules by the name of their operation; not to be modified."""
    return MappingProxyType(_RULES)


def supported_operations() -> list[str]:
    """Names of the operations that can be written, sorted."""
    return sorted(_RULES)


# --- layers with weights ----------------------------------------------------------------------


_FOLDING = ("conv1d", "conv2d", "depthwise_conv2d", "dense")


def _folded(
    writer: Writer, layer: LayerSpec, kernel: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Kernel, output channels last, and bias, with a batch normalisation behind them folded in.

    y = gamma * (k x + b - mean) / sqrt(variance + epsilon) + beta is linear in x, so it is one
    layer with kernel k * s and bias (b - mean) * s + beta, s = gamma / sqrt(variance + epsilon).
    """
    bias = writer.weight(layer, "bias") if layer.attributes["use_bias"] else None
    reader = writer.only_reader(layer.name)
    if reader is None or reader.op != "batch_normalization":
        return kernel, bias
    scale, shift = _scale_and_shift(writer, reader)
    shift = shift if bias is None else shift + bias * scale
    return (kernel * scale).astype(np.float32), shift.astype(np.float32)


def _scale_and_shift(writer: Writer, layer: LayerSpec) -> tuple[np.ndarray, np.ndarray]:
    """A batch normalisation as x * scale + shift, float64, shape (channels,)."""
    weight = {
        name: writer.weight(layer, name).astype(np.float64)
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    scale = weight["gamma"] / np.sqrt(weight["moving_variance"] + layer.attributes["epsilon"])
    return scale, weight["beta"] - weight["moving_mean"] * scale


def _is_folded(writer: Writer, layer: LayerSpec) -> bool:
    (source,) = layer.inputs
    return writer.graph.layer(source).op in _FOLDING and writer.only_reader(source) is layer


def _with_bias(
    writer: Writer, layer: LayerSpec, kernel: np.ndarray, bias: np.ndarray | None
) -> list[str]:
    constants = [writer.constant(kernel, f"{layer.name}/kernel")]
    if bias is not None:
        constants.append(writer.constant(bias, f"{layer.name}/bias"))
    return constants


def _pads(layer: LayerSpec, shape: Shape, window: str) -> list[int]:
    """Explicit padding [top, left, bottom, right], of sequences [before, after].

    TensorFlow puts the odd one behind.
    """
    attributes = layer.attributes
    axes = range(len(attributes["strides"]))
    if attributes["padding"] == "valid":
        return [0 for _ in axes] * 2
    before, after = [], []
    for axis in axes:
        size, stride = shape[axis], attributes["strides"][axis]
        dilation = attributes["dilation_rate"][axis] if "dilation_rate" in attributes else 1
        extent = (attributes[window][axis] - 1) * dilation + 1
        missing = max((-(-size // stride) - 1) * stride + extent - size, 0)
        causal = attributes["padding"] == "causal"
        before.append(extent - 1 if causal else missing // 2)
        after.append(0 if causal else missing - missing // 2)
    return before + after


def _convolve(
    writer: Writer, layer: LayerSpec, kernel: np.ndarray, bias: np.ndarray | None, group: int
) -> None:
    (source,) = layer.inputs
    weights = _with_bias(writer, layer, kernel, bias)
    tensor = writer.node(
        "Conv",
        [writer.read(source, Layout.FIRST), *weights],
        layer.name,
        kernel_shape=layer.attributes["kernel_size"],
        strides=layer.attributes["strides"],
        dilations=layer.attributes["dilation_rate"],
        pads=_pads(layer, writer.graph.shapes[source], "kernel_size"),
        group=group,
    )
    writer.put(layer, tensor, Layout.FIRST)


def _conv1d(writer: Writer, layer: LayerSpec) -> None:
    # (steps, inputs, filters) -> (filters, inputs, steps)
    kernel, bias = _folded(writer, layer, writer.weight(layer, "kernel"))
    _convolve(writer, layer, kernel.transpose(2, 1, 0), bias, 1)


def _conv2d(writer: Writer, layer: LayerSpec) -> None:
    # (height, width, inputs / groups, filters) -> (filters, inputs / groups, height, width)
    kernel, bias = _folded(writer, layer, writer.weight(layer, "kernel"))
    _convolve(writer, layer, kernel.transpose(3, 2, 0, 1), bias, layer.attributes["groups"])


def _depthwise_conv2d(writer: Writer, layer: LayerSpec) -> None:
    # (height, width, channels, 1) -> (channels, 1, height, width)
    kernel, bias = _folded(writer, layer, writer.weight(layer, "kernel")[..., 0])
    group = kernel.shape[-1]
    _convolve(writer, layer, kernel.transpose(2, 0, 1)[:, np.newaxis], bias, group)


def _dense(writer: Writer, layer: LayerSpec) -> None:
    (source,) = layer.inputs
    kernel, bias = _folded(writer, layer, writer.weight(layer, "kernel"))  # (inputs, units)
    if writer.layout_of(layer) is Layout.FIRST:  # on an image or a sequence: a 1x1 convolution
        window = [1] * (len(writer.graph.shapes[source]) - 1)
        pointwise = kernel.T.reshape(*kernel.T.shape, *window)
        inputs = [
            writer.read(source, Layout.FIRST),
            *_with_bias(writer, layer, pointwise, bias),
        ]
        writer.put(
            layer, writer.node("Conv", inputs, layer.name, kernel_shape=window), Layout.FIRST
        )
        return
    inputs = [writer.read(source), *_with_bias(writer, layer, kernel, bias)]
    if len(writer.graph.shapes[source]) == 1:
        tensor = writer.node("Gemm", inputs, layer.name)
    elif bias is None:
        tensor = writer.node("MatMul", inputs, layer.name)
    else:
        product = writer.node("MatMul", inputs[:2], f"{layer.name}/product")
        tensor = writer.node("Add", [product, inputs[2]], layer.name)
    writer.put(layer, tensor)


def _batch_normalization(writer: Writer, layer: LayerSpec) -> None:
    (source,) = layer.inputs
    if _is_folded(writer, layer):
        layout = writer.layout_of(layer)
        writer.put(layer, writer.read(source, layout), layout)
        return
    image = len(writer.graph.shapes[source]) == 3
    if image:
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        constants = [
            writer.constant(writer.weight(layer, name), f"{layer.name}/{name}") for name in names
        ]
        inputs = [writer.read(source, Layout.FIRST), *constants]
        epsilon = layer.attributes["epsilon"]
        tensor = writer.node("BatchNormalization", inputs, layer.name, epsilon=epsilon)
        writer.put(layer, tensor, Layout.FIRST)
        return
    scale, shift = (array.astype(np.float32) for array in _scale_and_shift(writer, layer))
    factor = writer.constant(scale, f"{layer.name}/scale")
    scaled = writer.node("Mul", [writer.read(source), factor], f"{layer.name}/scaled")
    term = writer.constant(shift, f"{layer.name}/shift")
    writer.put(layer, writer.node("Add", [scaled, term], layer.name))


def _layer_normalization(writer: Writer, layer: LayerSpec) -> None:
    constants = [
        writer.constant(writer.weight(layer, name), f"{layer.name}/{name}")
        for name in ("gamma", "beta")
    ]
    inputs = [writer.read(layer.inputs[0]), *constants]
    epsilon = layer.attributes["epsilon"]
    writer.put(
        layer, writer.node("LayerNormalization", inputs, layer.name, axis=-1, epsilon=epsilon)
    )


# --- layers without weights -------------------------------------------------------------------


def _activation(writer: Writer, layer: LayerSpec) -> None:
    layout = writer.layout_of(layer)
    source = writer.read(layer.inputs[0], layout)
    axis = 1 if layout is Layout.FIRST else -1
    function = ACTIVATIONS[layer.attributes["function"]]
    writer.put(layer, function(writer, source, layer.name, axis), layout)


def _pool(kind: str, **extra: int) -> Callable[[Writer, LayerSpec], None]:
    def write(writer: Writer, layer: LayerSpec) -> None:
        (source,) = layer.inputs
        tensor = writer.node(
            kind,
            [writer.read(source, Layout.FIRST)],
            layer.name,
            kernel_shape=layer.attributes["pool_size"],
            strides=layer.attributes["strides"],
            pads=_pads(layer, writer.graph.shapes[source], "pool_size"),
            **extra,
        )
        writer.put(layer, tensor, Layout.FIRST)

    return write


def _global_pool(kind: str) -> Callable[[Writer, LayerSpec], None]:
    def write(writer: Writer, layer: LayerSpec) -> None:
        source = writer.read(layer.inputs[0], Layout.FIRST)
        pooled = writer.node(kind, [source], f"{layer.name}/pooled")
        writer.put(layer, writer.node("Flatten", [pooled], layer.name, axis=1))

    return write


def _flatten(writer: Writer, layer: LayerSpec) -> None:
    source = writer.read(layer.inputs[0])  # channels last: Keras's order of features
    writer.put(layer, writer.node("Flatten", [source], layer.name, axis=1))


def _reshape(writer: Writer, layer: LayerSpec) -> None:
    source = writer.read(layer.inputs[0])
    writer.put(layer, writer.reshape(source, [0, *layer.attributes["target_shape"]], layer.name))


def _zero_padding2d(writer: Writer, layer: LayerSpec) -> None:
    (top, bottom), (left, right) = layer.attributes["padding"]
    pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    source = writer.read(layer.inputs[0], Layout.FIRST)
    constant = writer.constant(pads, f"{layer.name}/pads")
    writer.put(layer, writer.node("Pad", [source, constant], layer.name), Layout.FIRST)


def _same(writer: Writer, layer: LayerSpec) -> None:
    layout = writer.layout_of(layer)
    writer.put(layer, writer.read(layer.inputs[0], layout), layout)


def _zero(writer: Writer, layer: LayerSpec) -> None:
    # Only a shape is taken from the input, so ONNX Runtime folds what follows into a constant.
    layout = writer.layout_of(layer)
    shape = writer.node("Shape", [writer.read(layer.inputs[0], layout)], f"{layer.name}/shape")
    writer.put(layer, writer.node("ConstantOfShape", [shape], layer.name), layout)


def _fold_left(kind: str) -> Callable[[Writer, LayerSpec], None]:
    def write(writer: Writer, layer: LayerSpec) -> None:
        layout = writer.layout_of(layer)
        tensors = [writer.read(name, layout) for name in layer.inputs]
        *before, last = tensors
        if before:
            sums = count(1)
            left = reduce(
                lambda a, b: writer.node(kind, [a, b], f"{layer.name}/{next(sums)}"), before
            )
            last = writer.node(kind, [left, last], layer.name)
        writer.put(layer, last, layout)

    return write


def _concatenate(writer: Writer, layer: LayerSpec) -> None:
    layout = writer.layout_of(layer)
    tensors = [writer.read(name, layout) for name in layer.inputs]
    axis = 1 if layout is Layout.FIRST else -1
    writer.put(layer, writer.node("Concat", tensors, layer.name, axis=axis), layout)


# --- shapes of weights ------------------------------------------------------------------------


def _biased(attributes: Mapping[str, Any], shapes: WeightShapes, size: int) -> WeightShapes:
    return {**shapes, "bias": (size,)} if attributes["use_bias"] else shapes


def _conv1d_weights(attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> WeightShapes:
    filters = attributes["filters"]
    return _biased(
        attributes, {"kernel": (*attributes["kernel_size"], inputs[0][-1], filters)}, filters
    )


def _conv2d_weights(attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> WeightShapes:
    filters = attributes["filters"]
    kernel = (*attributes["kernel_size"], inputs[0][-1] // attributes["groups"], filters)
    return _biased(attributes, {"kernel": kernel}, filters)


def _depthwise_weights(attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> WeightShapes:
    channels = inputs[0][-1]
    kernel = (*attributes["kernel_size"], channels, 1)
    return _biased(attributes, {"kernel": kernel}, channels)


def _dense_weights(attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> WeightShapes:
    units = attributes["units"]
    return _biased(attributes, {"kernel": (inputs[0][-1], units)}, units)


def _named(*names: str) -> Callable[[Mapping[str, Any], Sequence[Shape]], WeightShapes]:
    return lambda _attributes, inputs: dict.fromkeys(names, (inputs[0][-1],))


_RULES: dict[str, Rule] = {
    "conv1d": Rule(_conv1d, _conv1d_weights),
    "conv2d": Rule(_conv2d, _conv2d_weights),
    "depthwise_conv2d": Rule(_depthwise_conv2d, _depthwise_weights),
    "dense": Rule(_dense, _dense_weights),
    "batch_normalization": Rule(
        _batch_normalization, _named("gamma", "beta", "moving_mean", "moving_variance")
    ),
    "layer_normalization": Rule(_layer_normalization, _named("gamma", "beta")),
    "input": Rule(lambda _writer, _layer: None),
    "activation": Rule(_activation),
    "max_pooling1d": Rule(_pool("MaxPool")),
    "max_pooling2d": Rule(_pool("MaxPool")),
    "average_pooling1d": Rule(_pool("AveragePool", count_include_pad=0)),
    "average_pooling2d": Rule(_pool("AveragePool", count_include_pad=0)),
    "global_average_pooling1d": Rule(_global_pool("GlobalAveragePool")),
    "global_max_pooling1d": Rule(_global_pool("GlobalMaxPool")),
    "global_average_pooling2d": Rule(_global_pool("GlobalAveragePool")),
    "global_max_pooling2d": Rule(_global_pool("GlobalMaxPool")),
    "flatten": Rule(_flatten),
    "reshape": Rule(_reshape),
    "zero_padding2d": Rule(_zero_padding2d),
    "dropout": Rule(_same),
    "identity": Rule(_same),
    "zero": Rule(_zero),
    "add": Rule(_fold_left("Add")),
    "multiply": Rule(_fold_left("Mul")),
    "concatenate": Rule(_concatenate),
}
