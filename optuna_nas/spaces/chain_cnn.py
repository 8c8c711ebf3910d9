"""A chain of convolutional blocks for images: the space to begin with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from optuna_nas.space import (
    Choice,
    Maybe,
    Node,
    Repeat,
    Scope,
    SearchSpace,
    Tied,
    conv,
    dropout,
    global_average_pooling,
    global_max_pooling,
    max_pooling,
    residual,
    separable_conv,
)
from optuna_nas.spaces.arguments import check_counts, check_names, check_shape, check_sizes


def chain_cnn(
    *,
    input_shape: Sequence[int] = (8, 8, 1),
    classes: int = 10,
    stages: int | None = None,
    max_blocks: int = 3,
    widths: Sequence[int] = (8, 16, 24, 32),
    kernels: Sequence[int] = (3, 5),
    activations: Sequence[str] = ("relu", "silu"),
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """Stages of convolutional blocks, each stage at half the resolution of the one before.

    A stage begins with a convolution of a chosen width and kernel, followed by up to
    ``max_blocks - 1`` further blocks, each plain, separable or residual with a kernel of its own.
    The activation is one for the whole network.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        stages: Number of stages; where left out, as many as bring the image down to about 4x4,
            at least two and at most four.
        max_blocks: Most blocks a stage may have, its first convolution included.
        widths: Channels the first stage may have; stage ``i`` has ``2**i`` times as many.
        kernels: Kernel sizes of a block.
        activations: Activations to choose from, by their Keras names.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.
    """
    check_shape(input_shape, "height", "width", "channels")
    check_counts(1, max_blocks=max_blocks, stages=1 if stages is None else stages)
    check_sizes(widths=widths, kernels=kernels)
    check_names(activations=activations)
    if stages is None:
        stages = min(max(round(math.log2(max(min(input_shape[:2]) / 4, 1))) + 1, 2), 4)
    function = Tied(Choice("activation", activations))
    body: list[Node] = []
    for stage in range(stages):
        scaled = [width * 2**stage for width in widths]
        blocks = _stage(scaled, max_blocks, kernels, function)
        body.append(Scope(f"stage{stage}", [max_pooling(2), *blocks] if stage else blocks))
    body += [
        Choice("pooling", {"average": global_average_pooling(), "max": global_max_pooling()}),
        Maybe("dropout", dropout(0.2)),
    ]
    return SearchSpace(
        "chain_cnn",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
    )


def _stage(
    widths: Sequence[int], max_blocks: int, kernels: Sequence[int], function: Node
) -> list[Node]:
    first = conv(Choice("width", widths), Choice("kernel", kernels), activation=function)
    if max_blocks == 1:
        return [first]
    kernel = Choice("kernel", kernels)
    kinds = {
        "plain": conv(kernel=kernel, activation=function),
        "separable": separable_conv(kernel=kernel, activation=function),
        "residual": residual(conv(kernel=kernel, activation=function)),
    }
    return [first, Repeat("block", 0, max_blocks - 1, Choice("kind", kinds))]
