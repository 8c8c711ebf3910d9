"""Operations on sequences of shape (steps, channels): embedding, convolution, pooling, recurrence.

A recurrent layer multiplies its input and its state by one matrix for each gate and adds a bias, at
every step: as many multiply-accumulates as it has parameters, times the steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optuna_nas.errors import InfeasibleArchitectureError, OperationError
from optuna_nas.graph.operations import (
    ACTIVATIONS,
    REQUIRED,
    Attributes,
    CountRule,
    Operation,
    Shape,
    ShapeRule,
    register_operation,
)


def sequence(operation: str, inputs: Sequence[Shape]) -> tuple[int, int]:
    """Steps and channels of the one input of an operation on sequences.

    Raises:
        InfeasibleArchitectureError: The input is no sequence.
    """
    (shape,) = inputs
    if len(shape) != 2:
        raise InfeasibleArchitectureError(
            f"{operation} needs an input of shape (steps, channels), got {shape}.", shape
        )
    return shape


# --- windows along the steps ------------------------------------------------------------------


def _window(attributes: Attributes, steps: int, window: str, operation: str) -> int:
    """Steps that come out; "causal" padding puts all of it before the first step."""
    padding, (stride,) = attributes["padding"], attributes["strides"]
    allowed = ("same", "valid", "causal") if operation == "conv1d" else ("same", "valid")
    if padding not in allowed:
        raise OperationError(
            f"{operation}: padding must be one of {', '.join(allowed)}, got {padding!r}.", padding
        )
    if padding != "valid":
        return math.ceil(steps / int(stride))
    (size,), (dilation,) = attributes[window], attributes.get("dilation_rate", (1,))
    extent = (size - 1) * dilation + 1
    if steps < extent:
        raise InfeasibleArchitectureError(
            f"{operation} with a window of {extent} and 'valid' padding does not fit an input of "
            f"{steps} steps.",
            steps,
        )
    return int((steps - extent) // stride + 1)


def _convolution_shape(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    steps, _ = sequence("conv1d", inputs)
    return (_window(attributes, steps, "kernel_size", "conv1d"), attributes["filters"])


def _convolution_params(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    window = attributes["kernel_size"][0] * inputs[0][-1]
    return int((window + attributes["use_bias"]) * attributes["filters"])


def _convolution_macs(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    steps, _ = _convolution_shape(attributes, inputs)
    return steps * _convolution_params(attributes, inputs)


def _pool_shape(operation: str) -> ShapeRule:
    def rule(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
        steps, channels = sequence(operation, inputs)
        return (_window(attributes, steps, "pool_size", operation), channels)

    return rule


def _global_pool_shape(_attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    return (sequence("global pooling", inputs)[1],)


def _cropped(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    steps, channels = sequence("cropping1d", inputs)
    before, after = attributes["cropping"]
    return (steps - before - after, channels)


# --- recurrence -------------------------------------------------------------------------------


def _recurrent_shape(operation: str) -> ShapeRule:
    def rule(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
        steps, _ = sequence(operation, inputs)
        channels = attributes["units"] * (1 + attributes["bidirectional"])
        return (steps, channels) if attributes["return_sequences"] else (channels,)

    return rule


def _recurrent_params(gates: int, biases: int) -> CountRule:
    """Each gate has a matrix for the input, one for the state, and ``biases`` biases a unit."""

    def rule(attributes: Attributes, inputs: Sequence[Shape]) -> int:
        units = attributes["units"]
        one_way = gates * units * (inputs[0][-1] + units + biases)
        return int(one_way * (1 + attributes["bidirectional"]))

    return rule


def _recurrent_macs(params: CountRule) -> CountRule:
    return lambda attributes, inputs: inputs[0][0] * params(attributes, inputs)


# --- the recurrent cell of DARTS (Liu et al. 2019, section 2.1 and appendix A.1.2) -------------


def _searched_shape(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    steps, _ = sequence("darts_rnn", inputs)
    for position, (function, source) in enumerate(attributes["cell"]):
        if function not in ACTIVATIONS or source not in range(position + 1):
            raise OperationError(
                f"darts_rnn: node {position + 1} must be an activation and a node from 0 to "
                f"{position} that it reads, got {(function, source)!r}.",
                (function, source),
            )
    return (steps, attributes["units"])


def _searched_params(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    """A gate and a state for each node; the first reads the input and the last state."""
    units, nodes = attributes["units"], len(attributes["cell"])
    return int(2 * units * (inputs[0][-1] + units + nodes * units))


def _searched_macs(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    """Those of every step; the first has no state to be multiplied."""
    steps, units = inputs[0][0], attributes["units"]
    return int(steps * _searched_params(attributes, inputs) - 2 * units * units)


def _unordered(attributes: Attributes) -> Attributes:
    """The cell as a tree: every node reads one, and it makes no difference which comes first."""
    readers: list[list[tuple[str, Any]]] = [[] for _ in range(len(attributes["cell"]) + 1)]
    for position, (function, source) in reversed([*enumerate(attributes["cell"], start=1)]):
        readers[source].append((function, tuple(sorted(readers[position]))))
    return {**attributes, "cell": tuple(sorted(readers[0]))}


def _embedded(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    (shape,) = inputs
    return (*shape, attributes["output_dim"])


_RECURRENT = {"units": REQUIRED, "return_sequences": False, "bidirectional": False}
_POOL = {"pool_size": REQUIRED, "strides": 1, "padding": "same"}
_lstm = _recurrent_params(gates=4, biases=1)
_gru = _recurrent_params(gates=3, biases=2)  # of the input's matrix and of the state's

for _operation in (
    Operation(
        "embedding",
        _embedded,
        lambda a, _: a["input_dim"] * a["output_dim"],
        defaults={"input_dim": REQUIRED, "output_dim": REQUIRED},
    ),
    Operation(
        "conv1d",
        _convolution_shape,
        _convolution_params,
        macs=_convolution_macs,
        defaults={
            "filters": REQUIRED,
            "kernel_size": REQUIRED,
            "strides": 1,
            "padding": "same",
            "dilation_rate": 1,
            "use_bias": False,
        },
        axes=1,
    ),
    Operation("max_pooling1d", _pool_shape("max_pooling1d"), defaults=_POOL, axes=1),
    Operation("average_pooling1d", _pool_shape("average_pooling1d"), defaults=_POOL, axes=1),
    Operation("global_average_pooling1d", _global_pool_shape, defaults={}),
    Operation("global_max_pooling1d", _global_pool_shape, defaults={}),
    Operation("cropping1d", _cropped, defaults={"cropping": (1, 1)}, axes=1),
    Operation(
        "lstm", _recurrent_shape("lstm"), _lstm, macs=_recurrent_macs(_lstm), defaults=_RECURRENT
    ),
    Operation(
        "gru", _recurrent_shape("gru"), _gru, macs=_recurrent_macs(_gru), defaults=_RECURRENT
    ),
    Operation(
        "darts_rnn",
        _searched_shape,
        _searched_params,
        macs=_searched_macs,
        defaults={"units": REQUIRED, "cell": REQUIRED},
        canonical=_unordered,
    ),
):
    register_operation(_operation)
