"""Keras layers as steps of an architecture graph: one rule for each class of layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_nas._keras import keras
from optuna_nas.errors import ExportError
from optuna_nas.export import Preprocessing
from optuna_nas.graph.operations import ACTIVATIONS


class UnsupportedModelError(ExportError):
    """A Keras model has no counterpart among architecture graphs; the message says why."""


@dataclass(frozen=True)
class Step:
    """One layer of the graph that a Keras layer becomes.

    Args:
        op: The graph's operation.
        attributes: Of the operation.
        weights: Weight name -> array in Keras's layout.
        suffix: Put behind the Keras layer's name where it becomes several.
        reads: How many of the Keras layer's inputs it reads, from the first; None: all.
    """

    op: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    suffix: str = ""
    reads: int | None = None


Converted = list[Step] | Preprocessing
Rule = Callable[[Any, Any], Converted]
"""``(layer, node) -> steps in a chain``; no steps where the layer changes nothing."""


def to_numpy(value: Any) -> np.ndarray:
    """A Keras variable or tensor as a float32 array.

    Not by `keras.ops.convert_to_numpy`, whose TensorFlow side NumPy 2 warns about.
    """
    tensor = keras.ops.stop_gradient(keras.ops.convert_to_tensor(value))
    return np.asarray(tensor, dtype=np.float32)


def refuse(layer: Any, what: str) -> UnsupportedModelError:
    """The error that says what of a layer can't be expressed."""
    return UnsupportedModelError(
        f"layer {layer.name!r} ({type(layer).__name__}): {what} has no counterpart among the "
        "graph's operations"
    )


def _channels_last(layer: Any) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise refuse(layer, "data_format='channels_first'")


def _not_quantized(layer: Any) -> None:
    if getattr(layer, "quantization_mode", None) is not None:
        raise refuse(layer, f"quantization {layer.quantization_mode!r}")


def _pair(value: Any) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


def activation_steps(layer: Any, function: Any, *, suffix: str = "") -> list[Step]:
    """The activation that a layer applies by itself, as a layer of its own."""
    name = keras.activations.serialize(function)
    if name not in ACTIVATIONS:
        raise refuse(layer, f"activation {name!r}")
    if name == "linear":
        return []
    return [Step("activation", {"function": name}, suffix=suffix)]


def _with_bias(layer: Any, kernels: dict[str, Any]) -> dict[str, np.ndarray]:
    weights = {name: to_numpy(kernel) for name, kernel in kernels.items()}
    if layer.use_bias:
        weights["bias"] = to_numpy(layer.bias)
    return weights


def _window(layer: Any, window: str) -> dict[str, Any]:
    _channels_last(layer)
    return {
        window: _pair(getattr(layer, window)),
        "strides": _pair(layer.strides),
        "padding": layer.padding,
    }


def _spatial(layer: Any) -> dict[str, Any]:
    return {
        **_window(layer, "kernel_size"),
        "dilation_rate": _pair(layer.dilation_rate),
        "use_bias": bool(layer.use_bias),
    }


# --- layers with weights ----------------------------------------------------------------------


def _conv2d(layer: Any, _node: Any) -> Converted:
    _not_quantized(layer)
    attributes = {**_spatial(layer), "filters": layer.filters, "groups": layer.groups}
    convolution = Step("conv2d", attributes, _with_bias(layer, {"kernel": layer.kernel}))
    return [convolution, *activation_steps(layer, layer.activation, suffix="_activation")]


def _depthwise(layer: Any, kernel: np.ndarray, weights: dict[str, np.ndarray]) -> Step:
    """A depthwise convolution; with several outputs a channel it is a grouped one."""
    height, width, channels, multiplier = kernel.shape
    attributes = {**_spatial(layer), "use_bias": "bias" in weights}
    if multiplier == 1:
        return Step("depthwise_conv2d", attributes, {"kernel": kernel, **weights})
    filters = channels * multiplier
    grouped = kernel.reshape(height, width, 1, filters)
    attributes = {**attributes, "filters": filters, "groups": channels}
    return Step("conv2d", attributes, {"kernel": grouped, **weights})


def _depthwise_conv2d(layer: Any, _node: Any) -> Converted:
    weights = _with_bias(layer, {"kernel": layer.kernel})
    step = _depthwise(layer, weights.pop("kernel"), weights)
    return [step, *activation_steps(layer, layer.activation, suffix="_activation")]


def _separable_conv2d(layer: Any, _node: Any) -> Converted:
    weights = _with_bias(layer, {"kernel": layer.pointwise_kernel})
    attributes = {"filters": layer.filters, "kernel_size": (1, 1), "use_bias": layer.use_bias}
    return [
        _depthwise(layer, to_numpy(layer.depthwise_kernel), {}),
        Step("conv2d", attributes, weights, suffix="_pointwise"),
        *activation_steps(layer, layer.activation, suffix="_activation"),
    ]


def _dense(layer: Any, _node: Any) -> Converted:
    _not_quantized(layer)
    attributes = {"units": layer.units, "use_bias": bool(layer.use_bias)}
    dense = Step("dense", attributes, _with_bias(layer, {"kernel": layer.kernel}))
    return [dense, *activation_steps(layer, layer.activation, suffix="_activation")]


def _last_axis(layer: Any, node: Any) -> None:
    rank = len(node.input_tensors[0].shape)
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    if [axis % rank for axis in axes] != [rank - 1]:
        raise refuse(layer, f"axis={layer.axis}")


def _batch_normalization(layer: Any, node: Any) -> Converted:
    _last_axis(layer, node)
    mean = to_numpy(layer.moving_mean)
    weights = {
        "gamma": to_numpy(layer.gamma) if layer.scale else np.ones_like(mean),
        "beta": to_numpy(layer.beta) if layer.center else np.zeros_like(mean),
        "moving_mean": mean,
        "moving_variance": to_numpy(layer.moving_variance),
    }
    attributes = {"momentum": float(layer.momentum), "epsilon": float(layer.epsilon)}
    return [Step("batch_normalization", attributes, weights)]


def _layer_normalization(layer: Any, node: Any) -> Converted:
    _last_axis(layer, node)
    channels = node.input_tensors[0].shape[-1]
    weights = {
        "gamma": to_numpy(layer.gamma) if layer.scale else np.ones(channels, np.float32),
        "beta": to_numpy(layer.beta) if layer.center else np.zeros(channels, np.float32),
    }
    return [Step("layer_normalization", {"epsilon": float(layer.epsilon)}, weights)]


# --- layers without weights -------------------------------------------------------------------


def _activation(layer: Any, _node: Any) -> Converted:
    return activation_steps(layer, layer.activation)


def _function(name: str) -> Rule:
    return lambda _layer, _node: [Step("activation", {"function": name})]


def _relu(layer: Any, _node: Any) -> Converted:
    if layer.threshold:
        raise refuse(layer, f"threshold={layer.threshold}")
    limits = (layer.max_value, float(layer.negative_slope))
    functions = {(None, 0.0): "relu", (6.0, 0.0): "relu6", (None, 0.2): "leaky_relu"}
    if limits not in functions:
        raise refuse(layer, f"max_value={limits[0]} with negative_slope={limits[1]}")
    return [Step("activation", {"function": functions[limits]})]


def _leaky_relu(layer: Any, _node: Any) -> Converted:
    if abs(layer.negative_slope - 0.2) > 1e-6:
        raise refuse(layer, f"negative_slope={layer.negative_slope}")
    return [Step("activation", {"function": "leaky_relu"})]


def _elu(layer: Any, _node: Any) -> Converted:
    if float(layer.alpha) != 1.0:
        raise refuse(layer, f"alpha={layer.alpha}")
    return [Step("activation", {"function": "elu"})]


def _softmax(layer: Any, node: Any) -> Converted:
    _last_axis(layer, node)
    return [Step("activation", {"function": "softmax"})]


def _pool(op: str) -> Rule:
    return lambda layer, _node: [Step(op, _window(layer, "pool_size"))]


def _global_pool(op: str) -> Rule:
    def rule(layer: Any, node: Any) -> Converted:
        _channels_last(layer)
        if not layer.keepdims:
            return [Step(op)]
        shape = (1, 1, node.input_tensors[0].shape[-1])
        return [Step(op), Step("reshape", {"target_shape": shape}, suffix="_keepdims")]

    return rule


def _flatten(layer: Any, _node: Any) -> Converted:
    _channels_last(layer)
    return [Step("flatten")]


def _reshape(_layer: Any, node: Any) -> Converted:
    return [Step("reshape", {"target_shape": tuple(node.outputs[0].shape[1:])})]


def _zero_padding2d(layer: Any, _node: Any) -> Converted:
    _channels_last(layer)
    return [Step("zero_padding2d", {"padding": tuple(tuple(pair) for pair in layer.padding)})]


def _cropping2d(layer: Any, node: Any) -> Converted:
    cropping = tuple(tuple(pair) for pair in layer.cropping)
    if layer.data_format == "channels_last":
        return [Step("cropping2d", {"cropping": cropping})]
    (top, bottom), (first, last) = cropping
    if top or bottom or first:
        raise refuse(layer, "data_format='channels_first'")
    # With channels last, it drops the last ones of them.
    return [Step("slice_channels", {"channels": node.input_tensors[0].shape[-1] - last})]


def _nothing(_layer: Any, _node: Any) -> Converted:
    return []


def _concatenate(layer: Any, node: Any) -> Converted:
    _last_axis(layer, node)
    return [Step("concatenate")]


def _merge(op: str) -> Rule:
    """A merging layer, or ``x + y`` on Keras tensors; arithmetic with numbers is refused."""

    def rule(layer: Any, node: Any) -> Converted:
        if len(node.input_tensors) < 2:
            raise refuse(layer, "arithmetic with a constant")
        return [Step(op)]

    return rule


# --- scaling of the input ---------------------------------------------------------------------


def _rescaling(layer: Any, _node: Any) -> Converted:
    scale = np.asarray(layer.scale, dtype=np.float64)
    offset = np.asarray(layer.offset, dtype=np.float64)
    if not np.any(scale) and not np.any(offset):
        return [Step("zero")]
    if not np.all(scale):
        raise refuse(layer, "a scale of zero for some channels")
    # x * scale + offset = (x - -offset / scale) * scale
    return Preprocessing(-offset / scale, scale)


def _normalization(layer: Any, node: Any) -> Converted:
    if layer.invert:
        raise refuse(layer, "invert=True")
    rank = len(node.input_tensors[0].shape)
    if tuple(axis % rank for axis in layer.axis) not in ((), (rank - 1,)):
        raise refuse(layer, f"axis={layer.axis}")
    mean, variance = (to_numpy(x).reshape(-1) for x in (layer.mean, layer.variance))
    if mean.size == 1:
        mean, variance = mean[0], variance[0]
    return Preprocessing(mean, 1.0 / np.maximum(np.sqrt(variance), keras.config.epsilon()))


AUGMENTATIONS = frozenset(
    [
        "AugMix",
        "CutMix",
        "MixUp",
        "RandAugment",
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomContrast",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHue",
        "RandomInvert",
        "RandomPerspective",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomZoom",
    ]
)
"""Keras layers that change images in training alone. ``training=True`` is but their default."""

RULES: dict[str, Rule] = {
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise_conv2d,
    "SeparableConv2D": _separable_conv2d,
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
    "MaxPooling2D": _pool("max_pooling2d"),
    "AveragePooling2D": _pool("average_pooling2d"),
    "GlobalAveragePooling2D": _global_pool("global_average_pooling2d"),
    "GlobalMaxPooling2D": _global_pool("global_max_pooling2d"),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "ZeroPadding2D": _zero_padding2d,
    "Cropping2D": _cropping2d,
    "Add": _merge("add"),
    "Multiply": _merge("multiply"),
    "Concatenate": _concatenate,
    "ZerosLike": lambda _layer, _node: [Step("zero")],
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    # keras.ops on Keras tensors, where they are no layers already:
    "Relu": _function("relu"),
    "Relu6": _function("relu6"),
    "Silu": _function("silu"),
    "HardSigmoid": _function("hard_sigmoid"),
    "HardSilu": _function("hard_silu"),
    "Selu": _function("selu"),
    "Mish": _function("mish"),
    "Tanh": _function("tanh"),
    "Sigmoid": _function("sigmoid"),
    "Softplus": _function("softplus"),
    # Without effect outside of training:
    "Identity": _nothing,
    "Dropout": lambda layer, _node: [Step("dropout", {"rate": float(layer.rate)})],
    "SpatialDropout2D": _nothing,
    "GaussianDropout": _nothing,
    "GaussianNoise": _nothing,
    "AlphaDropout": _nothing,
    "ActivityRegularization": _nothing,
    **dict.fromkeys(AUGMENTATIONS, _nothing),
}
"""By class name: layers, and operations on Keras tensors such as ``x + y``, which is an Add too."""
