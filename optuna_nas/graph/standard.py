"""The project's own operations: what each does to shapes, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from optuna_nas.errors import InfeasibleArchitectureError, OperationError
from optuna_nas.graph.operations import (
    ACTIVATIONS,
    REQUIRED,
    Attributes,
    Operation,
    Shape,
    register_operation,
)

# --- shapes -----------------------------------------------------------------------------------


def _image(operation: str, inputs: Sequence[Shape]) -> tuple[int, int, int]:
    (shape,) = inputs
    if len(shape) != 3:
        raise InfeasibleArchitectureError(
            f"{operation} needs an input of shape (height, width, channels), got {shape}.", shape
        )
    return shape


def _window(attributes: Attributes, size: int, axis: int, window: str, operation: str) -> int:
    extent, stride = int(attributes[window][axis]), int(attributes["strides"][axis])
    extent = (extent - 1) * attributes.get("dilation_rate", (1, 1))[axis] + 1
    if attributes["padding"] not in ("same", "valid"):
        raise OperationError(
            f"{operation}: padding must be 'same' or 'valid', got {attributes['padding']!r}.",
            attributes["padding"],
        )
    if attributes["padding"] == "same":
        return math.ceil(size / stride)
    if size < extent:
        raise InfeasibleArchitectureError(
            f"{operation} with a window of {extent} and 'valid' padding does not fit an input "
            f"of {size}.",
            size,
        )
    return int((size - extent) // stride + 1)


def _convolution_shape(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    height, width, channels = _image("conv2d", inputs)
    groups = attributes["groups"]
    if channels % groups or attributes["filters"] % groups:
        raise InfeasibleArchitectureError(
            f"conv2d: groups={groups} must divide {channels} input channels and "
            f"{attributes['filters']} filters.",
            groups,
        )
    return (
        _window(attributes, height, 0, "kernel_size", "conv2d"),
        _window(attributes, width, 1, "kernel_size", "conv2d"),
        attributes["filters"],
    )


def _depthwise_shape(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    height, width, channels = _image("depthwise_conv2d", inputs)
    return (
        _window(attributes, height, 0, "kernel_size", "depthwise_conv2d"),
        _window(attributes, width, 1, "kernel_size", "depthwise_conv2d"),
        channels,
    )


def _pool_shape(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    height, width, channels = _image("pooling", inputs)
    return (
        _window(attributes, height, 0, "pool_size", "pooling"),
        _window(attributes, width, 1, "pool_size", "pooling"),
        channels,
    )


def _global_pool_shape(_attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    return (_image("global pooling", inputs)[2],)


def _zero_padding_shape(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    height, width, channels = _image("zero_padding2d", inputs)
    (top, bottom), (left, right) = attributes["padding"]
    return (height + top + bottom, width + left + right, channels)


def _same_shape(_attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    (shape,) = inputs
    return shape


def _activation_shape(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    if attributes["function"] not in ACTIVATIONS:
        raise OperationError(
            f"activation: unknown function {attributes['function']!r}; known are "
            f"{', '.join(sorted(ACTIVATIONS))}.",
            attributes["function"],
        )
    return _same_shape(attributes, inputs)


def _reshape_shape(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    (shape,), target = inputs, tuple(attributes["target_shape"])
    if math.prod(shape) != math.prod(target):
        raise InfeasibleArchitectureError(f"reshape: {shape} does not fill {target}.", target)
    return target


def _elementwise_shape(_attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    largest = max(inputs, key=math.prod)
    for shape in inputs:
        fits = len(shape) == len(largest) and all(
            a in (1, b) for a, b in zip(shape[:-1], largest[:-1], strict=True)
        )
        if not fits or shape[-1] != largest[-1]:
            raise InfeasibleArchitectureError(
                f"Inputs of shapes {shape} and {largest} can't be merged element by element; "
                "bring them to one shape first, or merge by 'concatenate'.",
                shape,
            )
    return largest


def _equal_shape(_attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    if len(set(inputs)) != 1:
        raise InfeasibleArchitectureError(
            f"add needs inputs of one shape, got {sorted(set(inputs))}; bring them to one shape "
            "first, or merge by 'concatenate'.",
            tuple(inputs),
        )
    return inputs[0]


def _concatenate_shape(_attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    if len({shape[:-1] for shape in inputs}) != 1:
        raise InfeasibleArchitectureError(
            f"concatenate needs inputs that differ in channels alone, got {list(inputs)}.",
            tuple(inputs),
        )
    return (*inputs[0][:-1], sum(shape[-1] for shape in inputs))


# --- costs ------------------------------------------------------------------------------------


def _convolution_params(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    kernel = math.prod(attributes["kernel_size"]) * inputs[0][-1] // attributes["groups"]
    return int((kernel + attributes["use_bias"]) * attributes["filters"])


def _convolution_macs(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    positions = math.prod(_convolution_shape(attributes, inputs)[:2])
    return positions * _convolution_params(attributes, inputs)


def _depthwise_params(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    return int((math.prod(attributes["kernel_size"]) + attributes["use_bias"]) * inputs[0][-1])


def _depthwise_macs(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    positions = math.prod(_depthwise_shape(attributes, inputs)[:2])
    return positions * _depthwise_params(attributes, inputs)


def _dense_params(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    return int((inputs[0][-1] + attributes["use_bias"]) * attributes["units"])


def _dense_macs(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    return math.prod(inputs[0][:-1]) * _dense_params(attributes, inputs)


def _two_a_channel(_attributes: Attributes, inputs: Sequence[Shape]) -> int:
    return 2 * inputs[0][-1]


_CONVOLUTION = {"strides": (1, 1), "padding": "same", "dilation_rate": (1, 1)}
_POOL = {"pool_size": REQUIRED, "strides": (1, 1), "padding": "same"}

for _operation in (
    Operation("input", lambda a, _: tuple(a["shape"]), defaults={"shape": REQUIRED}),
    Operation(
        "conv2d",
        _convolution_shape,
        _convolution_params,
        macs=_convolution_macs,
        defaults={
            "filters": REQUIRED,
            "kernel_size": REQUIRED,
            **_CONVOLUTION,
            "groups": 1,
            "use_bias": False,
        },
    ),
    Operation(
        "depthwise_conv2d",
        _depthwise_shape,
        _depthwise_params,
        macs=_depthwise_macs,
        defaults={"kernel_size": REQUIRED, **_CONVOLUTION, "use_bias": False},
    ),
    Operation(
        "dense",
        lambda a, i: (*i[0][:-1], a["units"]),
        _dense_params,
        macs=_dense_macs,
        defaults={"units": REQUIRED, "use_bias": True},
    ),
    Operation(
        "batch_normalization",
        _same_shape,
        _two_a_channel,
        _two_a_channel,
        # Keras's own momentum of .99 leaves the statistics of a short training far behind.
        defaults={"momentum": 0.9, "epsilon": 1e-5},
    ),
    Operation("layer_normalization", _same_shape, _two_a_channel, defaults={"epsilon": 1e-6}),
    Operation("activation", _activation_shape, defaults={"function": REQUIRED}),
    Operation("max_pooling2d", _pool_shape, defaults=_POOL),
    Operation("average_pooling2d", _pool_shape, defaults=_POOL),
    Operation("global_average_pooling2d", _global_pool_shape, defaults={}),
    Operation("global_max_pooling2d", _global_pool_shape, defaults={}),
    Operation("flatten", lambda _, i: (math.prod(i[0]),), defaults={}),
    Operation("reshape", _reshape_shape, defaults={"target_shape": REQUIRED}),
    Operation("zero_padding2d", _zero_padding_shape, defaults={"padding": ((1, 1), (1, 1))}),
    Operation("dropout", _same_shape, defaults={"rate": REQUIRED}),
    Operation("identity", _same_shape, defaults={}),
    Operation("zero", _same_shape, defaults={}),
    Operation("add", _equal_shape, defaults={}),
    Operation("multiply", _elementwise_shape, defaults={}),
    Operation("concatenate", _concatenate_shape, defaults={}),
):
    register_operation(_operation)
