"""Residual networks for images, with activations behind the sums or before the convolutions.

He et al. (2016a), "Deep Residual Learning for Image Recognition"; He et al. (2016b), "Identity
Mappings in Deep Residual Networks"; Hu et al. (2018), "Squeeze-and-Excitation Networks".
"""

from __future__ import annotations

from collections.abc import Sequence

from optuna_nas.space import (
    Choice,
    Given,
    Let,
    Node,
    Parallel,
    Repeat,
    Scaled,
    Scope,
    SearchSpace,
    Shortcut,
    SqueezeExcite,
    activation,
    batch_normalization,
    conv,
    global_average_pooling,
    layer,
    max_pooling,
)
from optuna_nas.space.decisions import Value
from optuna_nas.spaces.arguments import (
    check_among,
    check_counts,
    check_names,
    check_shape,
    check_sizes,
)

BLOCKS = ("basic", "bottleneck")
ORDERS = ("post", "pre")

EXPANSION = 4
"""Channels that a bottleneck gives for each one inside."""

Published = tuple[str, str, int, tuple[int, ...]]

# Order, kind of block, width of the first stage, blocks of each stage.
PUBLISHED: dict[str, Published] = {
    "ResNet-20": ("post", "basic", 16, (3, 3, 3)),
    "ResNet-56": ("post", "basic", 16, (9, 9, 9)),
    "ResNet-18": ("post", "basic", 64, (2, 2, 2, 2)),
    "ResNet-34": ("post", "basic", 64, (3, 4, 6, 3)),
    "ResNet-50": ("post", "bottleneck", 64, (3, 4, 6, 3)),
    "ResNet-50-V2": ("pre", "bottleneck", 64, (3, 4, 6, 3)),
}

Convolution = tuple[Node, int, int]
"""Filters, kernel and strides."""

_NORMAL = (batch_normalization(), activation(Given("activation")))
_GATE = Given(
    "squeeze_excite",
    {"False": [], "True": SqueezeExcite(1 / 16, divisor=1, gate="sigmoid")},
)


def residual_cnn(
    *,
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    stages: int | None = None,
    max_blocks: int = 4,
    widths: Sequence[int] = (16, 32, 64),
    blocks: Sequence[str] = BLOCKS,
    orders: Sequence[str] = ORDERS,
    activations: Sequence[str] = ("relu", "silu"),
    squeeze_excite: bool = True,
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """Stages of residual blocks, each stage at half the resolution of the one before.

    Every stage has a kind of block, a width and a depth. The order of activations and convolutions,
    the activation, and squeeze-and-excitation are decided for the whole network. Where a block
    changes the shape, its shortcut is a 1x1 convolution; with activations first, that is so in the
    first block of every stage. Images of at least 128x128 are brought to a quarter of their size
    first, by a 7x7 convolution and pooling.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        stages: Number of stages; where left out, four for images of at least 64x64, three for those
            of at least 16x16, two for smaller ones.
        max_blocks: Most blocks of a stage.
        widths: Channels inside of the blocks of the first stage, and of the first convolution;
            stage ``i`` has ``2**i`` times as many. A bottleneck gives four times as many.
        blocks: "basic", two 3x3 convolutions, and "bottleneck", a 3x3 one between two of 1x1.
        orders: "post" (He et al. 2016a) and "pre" (2016b).
        activations: Activations to choose from, by their Keras names.
        squeeze_excite: Whether blocks may have squeeze-and-excitation.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.

    Returns:
        A space whose references are the published networks that the arguments allow.
    """
    check_shape(input_shape, "height", "width", "channels")
    check_counts(1, max_blocks=max_blocks, stages=1 if stages is None else stages)
    check_among("blocks", blocks, BLOCKS)
    check_among("orders", orders, ORDERS)
    check_sizes(widths=widths)
    check_names(activations=activations)
    smallest = min(input_shape[:2])
    if stages is None:
        stages = 2 + (smallest >= 16) + (smallest >= 64)
    body: list[Node] = [
        Let(Choice("order", orders)),
        Let(Choice("activation", activations)),
        Let(Choice("squeeze_excite", (False, True) if squeeze_excite else (False,))),
        Scope("stem", _stem(Choice("width", widths), large=smallest >= 128)),
        *([max_pooling(3, 2)] if smallest >= 128 else []),
    ]
    for number in range(stages):
        parts: list[Node] = [
            Let(Choice("width", [width * 2**number for width in widths])),
            Let(Choice("kind", blocks)),
            _block(2 if number else 1, first=True),
        ]
        if max_blocks > 1:
            parts.append(Repeat("block", 0, max_blocks - 1, _block(1, first=False)))
        body.append(Scope(f"stage{number}", parts))
    end = Given("order", {"post": [], "pre": _NORMAL})
    body += [end, global_average_pooling()]
    return SearchSpace(
        "residual_cnn",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references={
            name: _decisions(*published)
            for name, published in PUBLISHED.items()
            if "relu" in activations
            and _allowed(published, stages, max_blocks, widths, blocks, orders)
        },
    )


def _stem(width: Node, *, large: bool) -> list[Node]:
    kernel, stride = (7, 2) if large else (3, 1)
    convolution = layer("conv2d", filters=width, kernel_size=kernel, strides=stride)
    return [convolution, Given("order", {"post": _NORMAL, "pre": []})]


def _block(stride: int, *, first: bool) -> Node:
    """A block of the kind and the order that are decided; its stride is that of its 3x3 layer."""
    width, wide = Given("width"), Scaled(Given("width"), EXPANSION)
    basic: list[Convolution] = [(width, 3, stride), (width, 3, 1)]
    bottleneck: list[Convolution] = [(width, 1, 1), (width, 3, stride), (wide, 1, 1)]
    makers = {"post": _post, "pre": _pre}
    return Given(
        "order",
        {
            order: Given(
                "kind",
                {
                    "basic": make(basic, (width, 1, stride), first),
                    "bottleneck": make(bottleneck, (wide, 1, stride), first),
                },
            )
            for order, make in makers.items()
        },
    )


def _post(body: Sequence[Convolution], shortcut: Convolution, first: bool) -> list[Node]:
    """Convolution, normalisation, activation; the last activation is behind the sum."""
    inner = [conv(*convolution, activation=Given("activation")) for convolution in body[:-1]]
    projection = conv(*shortcut, activation=None) if first else None
    return [
        Shortcut([*inner, conv(*body[-1], activation=None), _GATE], projection),
        activation(Given("activation")),
    ]


def _pre(body: Sequence[Convolution], shortcut: Convolution, first: bool) -> list[Node]:
    """Normalisation, activation, convolution; a projected shortcut begins behind the first two."""
    convolutions = [_convolution(*convolution) for convolution in body]
    others = [node for convolution in convolutions[1:] for node in (*_NORMAL, convolution)]
    rest = [convolutions[0], *others, _GATE]
    if first:
        return [*_NORMAL, Parallel([_convolution(*shortcut), rest])]
    return [Shortcut([*_NORMAL, *rest])]


def _convolution(filters: Node, kernel: int, strides: int) -> Node:
    return layer("conv2d", filters=filters, kernel_size=kernel, strides=strides)


def _allowed(
    published: Published,
    stages: int,
    max_blocks: int,
    widths: Sequence[int],
    kinds: Sequence[str],
    orders: Sequence[str],
) -> bool:
    order, kind, width, depths = published
    return (
        order in orders
        and kind in kinds
        and width in widths
        and len(depths) == stages
        and max(depths) <= max_blocks
    )


def _decisions(order: str, kind: str, width: int, depths: Sequence[int]) -> dict[str, Value]:
    params: dict[str, Value] = {
        "order": order,
        "activation": "relu",
        "squeeze_excite": False,
        "stem/width": width,
    }
    for number, depth in enumerate(depths):
        name = f"stage{number}"
        params[f"{name}/width"] = width * 2**number
        params[f"{name}/kind"] = kind
        params[f"{name}/block/depth"] = depth - 1
    return params
