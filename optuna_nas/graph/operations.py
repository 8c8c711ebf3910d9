"""What each operation does to shapes, and what it costs: the one registry of operation names.

Shapes leave the batch out and put channels last. Attributes carry the names of Keras's arguments.
A multiply-accumulate (MAC) is one multiplication with its addition; adding a bias counts as one
MAC for each output, and normalisation, pooling and activations count as none, which is how the
tables of NAS-Bench-201 were made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna_nas.errors import InfeasibleArchitectureError, OperationError

Shape = tuple[int, ...]
Attributes = Mapping[str, Any]
ShapeRule = Callable[[Attributes, Sequence[Shape]], Shape]
CountRule = Callable[[Attributes, Sequence[Shape]], int]

ACTIVATIONS = frozenset(
    [
        "linear",
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "gelu",
        "silu",
        "hard_silu",
        "mish",
        "tanh",
        "sigmoid",
        "softplus",
        "softmax",
    ]
)


def _none(_attributes: Attributes, _inputs: Sequence[Shape]) -> int:
    return 0


@dataclass(frozen=True)
class Operation:
    """Shape and cost rules of one operation.

    Args:
        name: The operation's name, a Keras layer's in snake case.
        output_shape: ``(attributes, input shapes) -> output shape``; raises
            `InfeasibleArchitectureError` where the inputs do not fit.
        params: Trainable scalars.
        non_trainable_params: Scalars kept but not trained, such as moving averages.
        macs: Multiply-accumulates for one example.
        defaults: Attributes with the values they take when a layer leaves them out; `REQUIRED`
            marks those it may not leave out. None accepts whatever comes (a user's own block).
    """

    name: str
    output_shape: ShapeRule
    params: CountRule = _none
    non_trainable_params: CountRule = _none
    macs: CountRule = _none
    defaults: Mapping[str, Any] | None = None

    def attributes(self, given: Attributes) -> dict[str, Any]:
        """Complete and check the attributes of a layer."""
        if self.defaults is None:
            return dict(given)
        unknown = sorted(set(given) - set(self.defaults))
        if unknown:
            raise OperationError(
                f"Operation {self.name!r} has no attribute {unknown[0]!r}; "
                f"it takes {', '.join(self.defaults) or 'none'}.",
                unknown[0],
            )
        missing = [k for k, v in self.defaults.items() if v is REQUIRED and k not in given]
        if missing:
            raise OperationError(f"Operation {self.name!r} needs the attribute {missing[0]!r}.")
        complete = {key: _plain(key, value) for key, value in {**self.defaults, **given}.items()}
        for key, value in complete.items():
            expected, fits = _EXPECTED.get(key, ("", None))
            if fits is not None and _is_plain(value) and not fits(value):
                raise OperationError(
                    f"Operation {self.name!r}: {key} must be {expected}, got {value!r}.", value
                )
        return complete


def _plain(key: str, value: Any) -> Any:
    """Keras's shorthands written out: one number for both axes of an image."""
    if isinstance(value, list):
        value = tuple(value)
    if key in ("kernel_size", "strides", "pool_size", "dilation_rate") and isinstance(value, int):
        return (value, value)
    if key == "padding":
        if isinstance(value, int):
            return ((value, value), (value, value))
        if isinstance(value, tuple):
            return tuple((axis, axis) if isinstance(axis, int) else tuple(axis) for axis in value)
    return value


def _is_plain(value: Any) -> bool:
    """False for decisions of a space: they are checked once they are taken."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_count, value))


_PAIR = ("a positive integer or a pair of them", _is_pair)
_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "filters": ("a positive integer", _is_count),
    "units": ("a positive integer", _is_count),
    "groups": ("a positive integer", _is_count),
    "kernel_size": _PAIR,
    "pool_size": _PAIR,
    "strides": _PAIR,
    "dilation_rate": _PAIR,
    "use_bias": ("True or False", lambda value: isinstance(value, bool)),
    "rate": ("a number from 0 to 1", lambda value: not isinstance(value, str) and 0 <= value <= 1),
}


REQUIRED: Any = object()
_OPERATIONS: dict[str, Operation] = {}


def register_operation(operation: Operation, *, replace: bool = False) -> Operation:
    """Add an operation to the registry.

    Raises:
        OperationError: The name is taken and ``replace`` is False.
    """
    if operation.name in _OPERATIONS and not replace:
        raise OperationError(
            f"An operation named {operation.name!r} exists already; choose another name.",
            operation.name,
        )
    _OPERATIONS[operation.name] = operation
    return operation


def get_operation(name: str) -> Operation:
    """Return the operation of that name.

    Raises:
        OperationError: There is none.
    """
    try:
        return _OPERATIONS[name]
    except KeyError:
        raise OperationError(
            f"Unknown operation {name!r}; known are {', '.join(operation_names())}. "
            "Register your own with keras_nas.register_block.",
            name,
        ) from None


def operation_names() -> list[str]:
    """Names of all registered operations, sorted."""
    return sorted(_OPERATIONS)


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
