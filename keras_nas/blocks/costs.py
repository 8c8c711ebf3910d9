"""What a Keras layer of a user's own does to shapes, and what it costs, found by trying it.

Multiply-accumulates follow the graph's convention: those of convolutions and matrix products, a
bias counting one for each output; normalisations, pools and activations count as none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from keras_nas._keras import keras
from optuna_nas.errors import InfeasibleArchitectureError, OperationError
from optuna_nas.graph import Shape

_layers = keras.layers


@dataclass(frozen=True)
class Measures:
    """What a block does to shapes and what it costs.

    Args:
        output_shape: For one example.
        params: Trainable scalars.
        non_trainable_params: Scalars kept but not trained.
        counted_macs: Multiply-accumulates for one example; None where nobody asked, or why they
            can't be counted.
    """

    output_shape: Shape
    params: int
    non_trainable_params: int
    counted_macs: int | OperationError | None

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one example.

        Raises:
            OperationError: A layer inside has a weight matrix of its own that no rule covers.
        """
        if isinstance(self.counted_macs, int):
            return self.counted_macs
        assert self.counted_macs is not None
        raise self.counted_macs.with_traceback(None)


@dataclass(frozen=True)
class MeasuredBlock:
    """A block built once for given attributes and input shapes.

    Args:
        name: The operation's name, for messages.
        layer: The Keras layer, fresh and used for nothing else.
        input_shapes: Without the batch.
    """

    name: str
    layer: Any
    input_shapes: tuple[Shape, ...]

    def measures(self, macs: bool) -> Measures:
        """All of it in numbers, so that the layer and its weights need not be kept."""
        counted: int | OperationError | None = None
        if macs:
            try:
                counted = self.macs
            except OperationError as error:
                counted = error
        return Measures(self.output_shape, self.params, self.non_trainable_params, counted)

    @cached_property
    def output_shape(self) -> Shape:
        """Shape of the output for one example."""
        inputs = [keras.KerasTensor((1, *shape)) for shape in self.input_shapes]
        try:
            output = self.layer(inputs if len(inputs) > 1 else inputs[0])
            if None in output.shape[1:]:  # some layers know only once they see an array
                output = self._apply()
        except (ValueError, TypeError) as error:
            raise InfeasibleArchitectureError(
                f"Block {self.name!r} does not fit inputs of shapes {list(self.input_shapes)}: "
                f"{first_line(error)}",
                self.input_shapes,
            ) from error
        return tuple(int(size) for size in output.shape[1:])

    @cached_property
    def params(self) -> int:
        """Trainable scalars."""
        return self._count("trainable_weights")

    @cached_property
    def non_trainable_params(self) -> int:
        """Scalars kept but not trained."""
        return self._count("non_trainable_weights")

    def _count(self, kind: str) -> int:
        _ = self.output_shape  # builds the weights
        return sum(math.prod(weight.shape) for weight in getattr(self.layer, kind))

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates for one example, summed over the Keras layers inside.

        Raises:
            OperationError: A layer inside has a weight matrix of its own that no rule covers.
        """
        _ = self.output_shape
        inner = self.layer._flatten_layers(include_self=True, recursive=True)
        counted: list[int] = []
        for layer in list(inner):
            self._watch(layer, counted)
        self._apply()
        return sum(counted)

    def _apply(self) -> Any:
        """The output for one example of zeros."""
        arrays = [np.zeros((1, *shape), "float32") for shape in self.input_shapes]
        return self.layer(arrays if len(arrays) > 1 else arrays[0])

    def _watch(self, layer: Any, counted: list[int]) -> None:
        """Make one call of ``layer`` add its own multiply-accumulates to ``counted``."""
        rule = next((r for kinds, r in _RULES if isinstance(layer, kinds)), None)
        if rule is None:
            own = {id(w) for w in layer.weights}
            for child in layer._flatten_layers(include_self=False, recursive=True):
                own -= {id(w) for w in child.weights}
            if any(len(w.shape) > 1 for w in layer.weights if id(w) in own):
                raise OperationError(
                    f"Can't count the multiply-accumulates of block {self.name!r}: its layer "
                    f"{type(layer).__name__} is none that is known. Give "
                    "register_block(macs=lambda attributes, input_shapes: ...).",
                    self.name,
                )
            return
        call = layer.call

        def counting(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            counted.append(rule(layer, [_shape(x) for x in args], _shape(output)))
            return output

        layer.call = counting


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _shape(value: Any) -> Shape:
    if isinstance(value, (list, tuple)):
        value = value[0]
    return tuple(value.shape)


Rule = Callable[[Any, Sequence[Shape], Shape], int]


def _bias(layer: Any, output: Shape) -> int:
    return math.prod(output) if getattr(layer, "bias", None) is not None else 0


def _convolution(layer: Any, _inputs: Sequence[Shape], output: Shape) -> int:
    positions = math.prod(output[1:-1] if layer.data_format == "channels_last" else output[2:])
    return positions * math.prod(layer.kernel.shape) + _bias(layer, output)


def _transposed(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    shape = inputs[0]
    positions = math.prod(shape[1:-1] if layer.data_format == "channels_last" else shape[2:])
    return positions * math.prod(layer.kernel.shape) + _bias(layer, output)


def _separable(layer: Any, _inputs: Sequence[Shape], output: Shape) -> int:
    positions = math.prod(output[1:-1] if layer.data_format == "channels_last" else output[2:])
    kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
    return positions * kernels + _bias(layer, output)


def _dense(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return math.prod(inputs[0]) * layer.units + _bias(layer, output)


def _einsum(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    operands, _result = layer.equation.replace(" ", "").split("->")
    of_input, of_kernel = operands.split(",")
    shared = [
        size for label, size in zip(of_kernel, layer.kernel.shape, strict=True) if label in of_input
    ]
    outer = math.prod(inputs[0]) // math.prod(shared)
    return outer * math.prod(layer.kernel.shape) + _bias(layer, output)


def _attention(layer: Any, inputs: Sequence[Shape], _output: Shape) -> int:
    queries = math.prod(inputs[0][1:-1])
    values = math.prod(inputs[1][1:-1]) if len(inputs) > 1 else queries
    width = layer.key_dim + (layer.value_dim or layer.key_dim)
    return layer.num_heads * queries * values * width  # its projections count themselves


def _recurrent(layer: Any, inputs: Sequence[Shape], _output: Shape) -> int:
    cell = layer.cell
    biases = math.prod(cell.bias.shape) if getattr(cell, "bias", None) is not None else 0
    kernels = math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape)
    return inputs[0][1] * (kernels + biases)


def _nothing(_layer: Any, _inputs: Sequence[Shape], _output: Shape) -> int:
    return 0


_RULES: tuple[tuple[tuple[type, ...], Rule], ...] = (
    ((_layers.SeparableConv1D, _layers.SeparableConv2D), _separable),
    ((_layers.Conv1DTranspose, _layers.Conv2DTranspose, _layers.Conv3DTranspose), _transposed),
    ((_layers.DepthwiseConv1D, _layers.DepthwiseConv2D), _convolution),
    ((_layers.Conv1D, _layers.Conv2D, _layers.Conv3D), _convolution),
    ((_layers.Dense,), _dense),
    ((_layers.EinsumDense,), _einsum),
    ((_layers.MultiHeadAttention,), _attention),
    ((_layers.LSTM, _layers.GRU, _layers.SimpleRNN), _recurrent),
    ((_layers.LSTMCell, _layers.GRUCell, _layers.SimpleRNNCell, _layers.Embedding), _nothing),
)
