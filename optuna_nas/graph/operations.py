"""What each operation does to shapes, and what it costs: the one registry of operation names.

Shapes leave the batch out and put channels last. Attributes carry the names of Keras's arguments.
A multiply-accumulate (MAC) is one multiplication with its addition; adding a bias counts as one
MAC for each output, and normalisation, pooling and activations count as none, which is how the
tables of NAS-Bench-201 were made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna_nas.errors import OperationError

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
        "hard_sigmoid",
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
        axes: Axes along which windows slide: 2 of an image, 1 of a sequence.
        canonical: Attributes in the one form that stands for all which describe the same layer;
            None: each describes a layer of its own.
    """

    name: str
    output_shape: ShapeRule
    params: CountRule = _none
    non_trainable_params: CountRule = _none
    macs: CountRule = _none
    defaults: Mapping[str, Any] | None = None
    axes: int = 2
    canonical: Callable[[Attributes], Attributes] | None = None

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
        complete = {
            key: _plain(key, value, self.axes) for key, value in {**self.defaults, **given}.items()
        }
        for key, value in complete.items():
            expected, fits = _EXPECTED[self.axes].get(key, ("", None))
            if fits is not None and _is_plain(value) and not fits(value):
                raise OperationError(
                    f"Operation {self.name!r}: {key} must be {expected}, got {value!r}.", value
                )
        return complete


_WINDOWS = ("kernel_size", "strides", "pool_size", "dilation_rate")


def _plain(key: str, value: Any, axes: int) -> Any:
    """Keras's shorthands written out: one number for all axes."""
    if isinstance(value, list):
        value = tuple(value)
    if key in _WINDOWS and isinstance(value, int):
        return (value,) * axes
    if key in ("padding", "cropping") and axes == 2:
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


def _is_single(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 1 and _is_count(value[0])


_Expected = dict[str, tuple[str, Callable[[Any], bool]]]
_COUNT = ("a positive integer", _is_count)
_FLAG = ("True or False", lambda value: isinstance(value, bool))
_ANYWHERE: _Expected = {
    **dict.fromkeys(("filters", "units", "groups", "input_dim", "output_dim"), _COUNT),
    **dict.fromkeys(("num_heads", "key_dim"), _COUNT),
    **dict.fromkeys(("use_bias", "return_sequences", "bidirectional"), _FLAG),
    "rate": ("a number from 0 to 1", lambda value: not isinstance(value, str) and 0 <= value <= 1),
}
_EXPECTED: dict[int, _Expected] = {
    1: {**_ANYWHERE, **dict.fromkeys(_WINDOWS, ("a positive integer", _is_single))},
    2: {
        **_ANYWHERE,
        **dict.fromkeys(_WINDOWS, ("a positive integer or a pair of them", _is_pair)),
    },
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
