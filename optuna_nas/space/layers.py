"""Layers and small blocks to declare spaces with.

Names and arguments follow Keras. An argument may be a plain value or a decision; ``filters`` and
``units`` may be left out to keep as many channels as come in.
"""

from __future__ import annotations

from typing import Any

from optuna_nas.errors import SpaceError
from optuna_nas.graph import get_operation
from optuna_nas.space.conditional import ConditionalLayer, When
from optuna_nas.space.nodes import Chain, Channels, Layer, Node, as_node, is_value
from optuna_nas.space.structure import Parallel

SAME_CHANNELS = Channels(1)


def layer(op: str, /, **attributes: Any) -> Node:
    """Any registered operation, such as a block of your own.

    Args:
        op: The operation's name.
        attributes: Its attributes, each a plain value, a decision, a tuple of these, or a `When`
            that makes it exist only under values of an attribute before it.

    Raises:
        SpaceError: An attribute's value is of no use in a space.
    """
    for key, value in attributes.items():
        if not is_value(value):
            raise SpaceError(
                f"layer {op!r}: attribute {key!r} must be a plain value, a tuple or a decision, "
                f"got {value!r} of type {type(value).__name__}.",
                value,
            )
    if any(isinstance(value, When) for value in attributes.values()):
        return ConditionalLayer(op, attributes)
    return Layer(op, attributes)


def known(op: str, /, **attributes: Any) -> Node:
    """A layer of one of the project's own operations, its attributes checked at once."""
    get_operation(op).attributes(attributes)
    return layer(op, **attributes)


def conv(
    filters: Any = SAME_CHANNELS,
    kernel: Any = 3,
    strides: Any = 1,
    *,
    activation: Any = "relu",
    normalization: bool = True,
    padding: str = "same",
    dilation_rate: Any = 1,
    groups: Any = 1,
) -> Node:
    """Convolution, batch normalisation, activation; no bias where a normalisation follows."""
    convolution = known(
        "conv2d",
        filters=filters,
        kernel_size=kernel,
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
        groups=groups,
        use_bias=not normalization,
    )
    return block(convolution, normalization, activation)


def depthwise_conv(
    kernel: Any = 3,
    strides: Any = 1,
    *,
    activation: Any = "relu",
    normalization: bool = True,
    padding: str = "same",
    dilation_rate: Any = 1,
) -> Node:
    """Depthwise convolution, batch normalisation, activation."""
    convolution = known(
        "depthwise_conv2d",
        kernel_size=kernel,
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
        use_bias=not normalization,
    )
    return block(convolution, normalization, activation)


def separable_conv(
    filters: Any = SAME_CHANNELS,
    kernel: Any = 3,
    strides: Any = 1,
    *,
    activation: Any = "relu",
    normalization: bool = True,
) -> Node:
    """Depthwise convolution and a 1x1 convolution, then batch normalisation and activation."""
    depthwise = known("depthwise_conv2d", kernel_size=kernel, strides=strides)
    pointwise = known("conv2d", filters=filters, kernel_size=1, use_bias=not normalization)
    return block(Chain((depthwise, pointwise)), normalization, activation)


def dense(
    units: Any = SAME_CHANNELS, *, activation: Any = None, normalization: bool = False
) -> Node:
    """Dense layer, optionally normalised and activated."""
    return block(known("dense", units=units, use_bias=not normalization), normalization, activation)


def block(first: Node, normalization: bool, function: Any) -> Node:
    """A layer, and behind it what is wanted of batch normalisation and activation."""
    parts: list[Node] = [first]
    if normalization:
        parts.append(batch_normalization())
    if function not in (None, "linear"):
        parts.append(activation(function))
    return Chain(tuple(parts)) if len(parts) > 1 else first


def batch_normalization(*, momentum: float = 0.9, epsilon: float = 1e-5) -> Node:
    """Batch normalisation; the momentum suits trainings of a few epochs."""
    return known("batch_normalization", momentum=momentum, epsilon=epsilon)


def layer_normalization(*, epsilon: float = 1e-6) -> Node:
    """Normalisation over the channels of each example (Ba et al. 2016)."""
    return known("layer_normalization", epsilon=epsilon)


def activation(function: Any) -> Node:
    """An activation by its Keras name, or a decision between several."""
    return known("activation", function=function)


def max_pooling(pool_size: Any = 2, strides: Any = None, *, padding: str = "same") -> Node:
    """Maximum over windows; strides default to the window's size."""
    return pooling("max_pooling2d", pool_size, strides, padding)


def average_pooling(pool_size: Any = 2, strides: Any = None, *, padding: str = "same") -> Node:
    """Average over windows, padding not counted; strides default to the window's size."""
    return pooling("average_pooling2d", pool_size, strides, padding)


def pooling(op: str, pool_size: Any, strides: Any, padding: str) -> Node:
    """A pooling layer whose strides are its window's size where they are left out."""
    if strides is None:
        if isinstance(pool_size, Node):
            raise SpaceError(f"{op}: name the strides where the window's size is a decision.")
        strides = pool_size
    return known(op, pool_size=pool_size, strides=strides, padding=padding)


def global_average_pooling() -> Node:
    """Average over all positions: an image becomes a vector."""
    return known("global_average_pooling2d")


def global_max_pooling() -> Node:
    """Maximum over all positions: an image becomes a vector."""
    return known("global_max_pooling2d")


def flatten() -> Node:
    """All values in one vector."""
    return known("flatten")


def dropout(rate: Any) -> Node:
    """Dropout with a rate, or a decision between rates."""
    return known("dropout", rate=rate)


def zero_padding(padding: int | tuple[tuple[int, int], tuple[int, int]] = 1) -> Node:
    """Zeros around an image, or ((above, below), (left, right)) of it."""
    return known("zero_padding2d", padding=padding)


def cropping(cropping: int | tuple[tuple[int, int], tuple[int, int]] = 1) -> Node:
    """An image without its border, or without ((above, below), (left, right)) of it."""
    return known("cropping2d", cropping=cropping)


def identity() -> Node:
    """Passes its input on: a skip connection, or a layer left out."""
    return known("identity")


def zero() -> Node:
    """Zeros of its input's shape: an edge that is not there."""
    return known("zero")


def residual(body: Any, *, project: bool = True) -> Node:
    """``x + body(x)``, the shortcut projected where the shapes differ (He et al. 2016)."""
    return Parallel((identity(), as_node(body)), merge="add", project=project)
