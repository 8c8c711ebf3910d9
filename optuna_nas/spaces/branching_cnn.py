"""Convolutional networks with branches, skip connections and layers of the user's choice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna_nas.errors import SpaceError
from optuna_nas.space import (
    Cell,
    Choice,
    Edge,
    Given,
    Let,
    Maybe,
    Node,
    Repeat,
    Scope,
    SearchSpace,
    Subset,
    WithChannels,
    average_pooling,
    conv,
    dropout,
    global_average_pooling,
    global_max_pooling,
    identity,
    max_pooling,
    separable_conv,
)
from optuna_nas.space.decisions import Value
from optuna_nas.spaces.arguments import (
    check_among,
    check_counts,
    check_names,
    check_shape,
    check_sizes,
)

MERGES = ("add", "concatenate")

_FUNCTION = Given("activation")
_TO_WIDTH = WithChannels(Given("width"), conv(Given("width"), 1, activation=_FUNCTION))

OPERATIONS: dict[str, Node] = {
    "identity": identity(),
    "conv_1x1": conv(kernel=1, activation=_FUNCTION),
    "conv_3x3": conv(kernel=3, activation=_FUNCTION),
    "conv_5x5": conv(kernel=5, activation=_FUNCTION),
    "dilated_conv_3x3": conv(kernel=3, dilation_rate=2, activation=_FUNCTION),
    "separable_conv_3x3": separable_conv(kernel=3, activation=_FUNCTION),
    "separable_conv_5x5": separable_conv(kernel=5, activation=_FUNCTION),
    "max_pooling_3x3": max_pooling(3, 1),
    "average_pooling_3x3": average_pooling(3, 1),
}
DEFAULT_OPERATIONS = (
    "identity",
    "conv_3x3",
    "conv_5x5",
    "separable_conv_3x3",
    "max_pooling_3x3",
)


def branching_cnn(
    *,
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    operations: Sequence[str] | Mapping[str, Any] = DEFAULT_OPERATIONS,
    stages: int | None = None,
    max_blocks: int = 2,
    layers: int = 3,
    max_branches: int = 2,
    merges: Sequence[str] = MERGES,
    widths: Sequence[int] = (8, 16, 24, 32),
    activations: Sequence[str] = ("relu", "silu"),
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """Stages of blocks whose layers read any of the layers before them.

    A block is a graph. Each of its layers reads one to ``max_branches`` of those before it, or the
    block's input, each through an operation of its own, and merges what they give; the last layer
    is the block's output. What no layer on the way to it reads is left out, so blocks also differ
    in depth. Where channels differ from the stage's width, a 1x1 convolution makes them so.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        operations: Names among `OPERATIONS`; or layers of your own by name, with decisions of their
            own if you like, that keep height and width.
        stages: Number of stages, each at half the resolution of the one before; where left out, as
            many as bring the image down to about 4x4, at least two and at most four.
        max_blocks: Most blocks of a stage.
        layers: Layers of a block.
        max_branches: Most inputs of a layer.
        merges: How inputs are merged: "add", "concatenate", "multiply".
        widths: Channels the first stage may have; stage ``i`` has ``2**i`` times as many.
        activations: Activations to choose from, by their Keras names.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.

    Returns:
        A space whose references have blocks like those of ResNet (He et al. 2016) and DenseNet
        (Huang et al. 2017), if the arguments allow it.

    Raises:
        SpaceError: An operation has no known name.
    """
    check_shape(input_shape, "height", "width", "channels")
    check_counts(1, max_blocks=max_blocks, layers=layers, max_branches=max_branches)
    check_counts(1, stages=1 if stages is None else stages)
    check_among("merges", merges, (*MERGES, "multiply"))
    check_sizes(widths=widths)
    check_names(activations=activations)
    known = _operations(operations)
    if stages is None:
        stages = min(max(round(math.log2(max(min(input_shape[:2]) / 4, 1))) + 1, 2), 4)
    body: list[Node] = [Let(Choice("activation", activations))]
    for number in range(stages):
        parts: list[Node] = [
            Let(Choice("width", [width * 2**number for width in widths])),
            _reduction() if number else conv(Given("width"), activation=_FUNCTION),
            Repeat("block", 1, max_blocks, _block(known, layers, max_branches, merges)),
        ]
        body.append(Scope(f"stage{number}", parts))
    body += [
        Choice("pooling", {"average": global_average_pooling(), "max": global_max_pooling()}),
        Maybe("dropout", dropout(0.2)),
    ]
    allowed = (
        min(layers, max_branches) > 1
        and {"identity", "conv_3x3"} <= set(known)
        and set(merges) >= {"add", "concatenate"}
    )
    references = _references(stages, max_blocks, layers, widths[0], activations[0])
    return SearchSpace(
        "branching_cnn",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references=references if allowed else None,
    )


def _operations(operations: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(operations, Mapping):
        check_names(operations=tuple(operations))
        return dict(operations)
    check_names(operations=operations)
    for name in operations:
        if name not in OPERATIONS:
            raise SpaceError(
                f"branching_cnn: {name!r} is no operation; expected some of "
                f"{', '.join(OPERATIONS)}, or a dict of layers of your own.",
                name,
            )
    return {name: OPERATIONS[name] for name in operations}


def _reduction() -> Node:
    kinds = {
        "conv": conv(Given("width"), 3, 2, activation=_FUNCTION),
        "max": [max_pooling(2), _TO_WIDTH],
        "average": [average_pooling(2), _TO_WIDTH],
    }
    return Choice("reduction", kinds)


def _block(
    operations: Mapping[str, Any], layers: int, max_branches: int, merges: Sequence[str]
) -> list[Node]:
    nodes = []
    for number in range(1, layers + 1):
        branches = {
            str(source): Edge(source, [Choice("operation", operations), _TO_WIDTH])
            for source in range(number)
        }
        most = min(max_branches, number)
        merge = Subset("inputs", branches, 1, most, Given("merge"))
        nodes.append(Scope(f"layer{number}", [merge, _TO_WIDTH]))
    return [Let(Choice("merge", merges)), Cell("layers", nodes)]


def _references(
    stages: int, max_blocks: int, layers: int, width: int, function: str
) -> dict[str, dict[str, Value]]:
    """Blocks whose last layer merges the block's input with what a chain of layers makes of it."""
    found: dict[str, dict[str, Value]] = {}
    kinds = {"ResNet-like": ("add", "conv"), "DenseNet-like": ("concatenate", "average")}
    for name, (merge, reduction) in kinds.items():
        params: dict[str, Value] = {
            "activation": function,
            "pooling": "average",
            "dropout": False,
        }
        for number in range(stages):
            stage = f"stage{number}"
            params |= {f"{stage}/width": width * 2**number, f"{stage}/reduction": reduction}
            params[f"{stage}/block/depth"] = max_blocks
            for copy in range(max_blocks):
                block = f"{stage}/block/{copy}"
                params[f"{block}/merge"] = merge
                for layer in range(1, layers + 1):
                    inputs = f"{block}/layers/layer{layer}/inputs"
                    last = layer == layers
                    params[inputs] = f"0+{layer - 1}" if last else str(layer - 1)
                    params[f"{inputs}/0/operation"] = "identity" if last else "conv_3x3"
                    params[f"{inputs}/{layer - 1}/operation"] = "conv_3x3"
        found[name] = params
    return found
