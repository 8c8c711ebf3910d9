"""Operations of the spaces of stacked cells, by their published names.

They are the authors' PyTorch operations pixel by pixel. Where these take strides, Keras's "same"
padding would sample other pixels, so they are padded, or thinned out, by layers of their own.
"""

from __future__ import annotations

import re

from optuna_nas.errors import SpaceError
from optuna_nas.space import (
    Chain,
    Node,
    Parallel,
    activation,
    average_pooling,
    batch_normalization,
    cropping,
    identity,
    layer,
    max_pooling,
    zero,
    zero_padding,
)


def cell_operation(name: str, channels: int, stride: int) -> Node:
    """An operation that keeps the channels.

    Args:
        name: As Liu et al. (2019) call them: "none", "skip_connect", or one of "max_pool",
            "avg_pool", "conv", "sep_conv" (separable, applied twice) and "dil_conv" (separable,
            dilated by two) with its window, such as "sep_conv_3x3", or "conv_7x1_1x7".
        channels: Channels that come in.
        stride: 1, or 2 to halve the resolution.

    Raises:
        SpaceError: There is no such operation.
    """
    if name == "none":
        return Chain((*_thinned(stride), zero()))
    if name == "skip_connect":
        return identity() if stride == 1 else factorized_reduction(channels)
    kind, *sizes = re.sub(r"_(\d*[13579])x(\d+)", r" \1 \2", name).split(" ")
    match kind, sizes:
        case "max_pool", [size, other] if size == other:
            return Chain((max_pooling(int(size), 1), *_thinned(stride)))
        case "avg_pool", [size, other] if size == other:
            return Chain((average_pooling(int(size), 1), *_thinned(stride)))
        case "conv", [size, other] if size == other:
            return relu_conv_bn(channels, int(size), stride)
        case "conv", [size, "1", "1", other] if size == other:
            return _conv_along_each_axis(channels, int(size), stride)
        case "sep_conv", [size, other] if size == other:
            return Chain(
                (_separable(channels, int(size), stride), _separable(channels, int(size), 1))
            )
        case "dil_conv", [size, other] if size == other:
            return _dilated(channels, int(size), stride)
    raise SpaceError(
        f"{name!r} is no operation of a cell; expected 'none', 'skip_connect', 'max_pool_3x3', "
        "'avg_pool_3x3', 'conv_3x3', 'sep_conv_3x3' or 'dil_conv_3x3' with an odd window, or "
        "'conv_7x1_1x7'.",
        name,
    )


def relu_conv_bn(channels: int, kernel: int = 1, stride: int = 1) -> Node:
    """Activation, convolution and normalisation."""
    convolution = _conv2d(channels, (kernel, kernel), (stride, stride))
    return Chain((activation("relu"), convolution, batch_normalization()))


def factorized_reduction(channels: int) -> Node:
    """Half the resolution by two 1x1 convolutions, each of every other pixel and half the channels.

    The second one begins a pixel later in both directions (Zoph et al. 2018, appendix A).
    """
    # Of an odd size, the later pixels are one fewer.
    later = Chain((zero_padding(((0, 1), (0, 1))), cropping(((1, 0), (1, 0)))))
    half = channels // 2
    first = _conv2d(channels - half, (1, 1), (2, 2))
    second = Chain((later, _conv2d(half, (1, 1), (2, 2))))
    halves = Parallel([first, second], merge="concatenate")
    return Chain((activation("relu"), halves, batch_normalization()))


def _conv_along_each_axis(channels: int, kernel: int, stride: int) -> Node:
    along_rows = _conv2d(channels, (1, kernel), (1, stride))
    along_columns = _conv2d(channels, (kernel, 1), (stride, 1))
    return Chain((activation("relu"), along_rows, along_columns, batch_normalization()))


def _separable(channels: int, kernel: int, stride: int) -> Node:
    padding = (zero_padding(kernel // 2),) if stride > 1 else ()
    depthwise = layer(
        "depthwise_conv2d",
        kernel_size=kernel,
        strides=stride,
        padding="valid" if padding else "same",
    )
    pointwise = _conv2d(channels, (1, 1), (1, 1))
    return Chain((activation("relu"), *padding, depthwise, pointwise, batch_normalization()))


def _dilated(channels: int, kernel: int, stride: int) -> Node:
    """With stride 2, pixels a dilation of 2 apart are those next to each other of every other."""
    depthwise = layer("depthwise_conv2d", kernel_size=kernel, dilation_rate=3 - stride)
    pointwise = _conv2d(channels, (1, 1), (1, 1))
    return Chain(
        (activation("relu"), *_thinned(stride), depthwise, pointwise, batch_normalization())
    )


def _thinned(stride: int) -> tuple[Node, ...]:
    """Every other pixel, from the first one."""
    return (average_pooling(1, stride),) if stride > 1 else ()


def _conv2d(channels: int, kernel: tuple[int, int], strides: tuple[int, int]) -> Node:
    plain = layer("conv2d", filters=channels, kernel_size=kernel, strides=strides)
    if max(strides) == 1 or max(kernel) == 1:
        return plain
    padded = layer("conv2d", filters=channels, kernel_size=kernel, strides=strides, padding="valid")
    (above, left) = (size // 2 for size in kernel)
    return Chain((zero_padding(((above, above), (left, left))), padded))
