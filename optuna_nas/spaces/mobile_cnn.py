"""Inverted bottlenecks for images: the family of MobileNetV2, MobileNetV3 and ProxylessNAS.

A layout names a published network's skeleton. What is searched is what these papers chose by hand
or by search: kernels, expansions, squeeze-and-excitation, activations, depths and the width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna_nas.errors import SpaceError
from optuna_nas.space import (
    Channels,
    Choice,
    Given,
    Let,
    Maybe,
    Node,
    Repeat,
    Scaled,
    Scope,
    SearchSpace,
    Shortcut,
    SqueezeExcite,
    conv,
    dense,
    depthwise_conv,
    dropout,
    global_average_pooling,
)
from optuna_nas.space.decisions import Value
from optuna_nas.spaces.arguments import check_factors, check_names, check_shape, check_sizes
from optuna_nas.spaces.mobile_layouts import LAYOUTS, Layout, Stage

DIVISOR = 8


def mobile_cnn(
    *,
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    layout: str | Layout = "mobilenet_v3_large",
    kernels: Sequence[int] = (3, 5, 7),
    expansions: Sequence[float] | None = None,
    activations: Sequence[str] = ("relu", "relu6", "hard_silu"),
    squeeze_excite: bool = True,
    width_multipliers: Sequence[float] = (0.5, 0.75, 1.0),
    dropout_rate: float = 0.2,
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """Stages of inverted bottlenecks, each expanded, convolved by channel and projected.

    Every bottleneck has a kernel and an expansion of its own, every stage a depth, an activation
    and maybe squeeze-and-excitation; the width multiplier is one for the whole network. Of the
    layout's strides, the last ones are kept that leave an image of at least 4x4.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        layout: "mobilenet_v2" (Sandler et al. 2018), "mobilenet_v3_large" or "mobilenet_v3_small"
            (Howard et al. 2019), "proxyless" (Cai et al. 2019), or a `Layout` of your own.
        kernels: Kernel sizes of a bottleneck.
        expansions: Channels inside of a bottleneck for each one that comes in; 3, 6 and those of
            the layout's published network where left out.
        activations: Activations of a stage, by their Keras names.
        squeeze_excite: Whether stages may have squeeze-and-excitation (Hu et al. 2018).
        width_multipliers: Factors of all widths but the last layers'; products are rounded to
            multiples of 8.
        dropout_rate: Of the dropout before the last layer, which may be left out.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.

    Returns:
        A space whose reference is the layout's published network, if the arguments allow it.

    Raises:
        SpaceError: There is no such layout.
    """
    check_shape(input_shape, "height", "width", "channels")
    check_sizes(kernels=kernels)
    check_names(activations=activations)
    check_factors(width_multipliers=width_multipliers)
    plan = _layout(layout)
    if expansions is None:
        expansions = sorted({3.0, 6.0, *(e for stage in plan.stages for _, e in stage.published)})
    check_factors(expansions=expansions)
    options = _Options(
        tuple(kernels),
        tuple(map(float, expansions)),
        tuple(activations),
        (False, True) if squeeze_excite else (False,),
        tuple(map(float, width_multipliers)),
    )
    strides = iter(_strides(plan, input_shape))
    body: list[Node] = [
        Let(Choice("width_multiplier", options.widths)),
        conv(_width(plan.stem), 3, next(strides), activation=plan.activation),
        Scope("first", _first(plan.first, next(strides))),
    ]
    for number, stage in enumerate(plan.stages):
        body.append(Scope(f"stage{number}", _stage(stage, next(strides), options)))
    head = Channels(plan.head, DIVISOR) if isinstance(plan.head, float) else plan.head
    body += [conv(head, 1, activation=plan.activation), global_average_pooling()]
    if plan.dense:
        body.append(dense(plan.dense, activation=plan.activation))
    body.append(Maybe("dropout", dropout(dropout_rate)))
    return SearchSpace(
        "mobile_cnn",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references=_references(plan, options),
    )


@dataclass(frozen=True)
class _Options:
    kernels: Sequence[int]
    expansions: Sequence[float]
    activations: Sequence[str]
    squeeze_excite: Sequence[bool]
    widths: Sequence[float]


def _layout(layout: str | Layout) -> Layout:
    if isinstance(layout, Layout):
        return layout
    if layout not in LAYOUTS:
        raise SpaceError(
            f"mobile_cnn: layout must be a Layout or one of {', '.join(LAYOUTS)}, got {layout!r}.",
            layout,
        )
    return LAYOUTS[layout]


def _strides(plan: Layout, input_shape: Sequence[int]) -> list[int]:
    """Strides of the stem, the first bottleneck and the stages for images of a size."""
    strides = [2, plan.first.stride, *(stage.stride for stage in plan.stages)]
    halvings = max(0, int(math.log2(min(input_shape[:2]) / 4)))
    left_out = max(0, sum(stride > 1 for stride in strides) - halvings)
    for place, stride in enumerate(strides):
        if stride > 1 and left_out:
            strides[place], left_out = 1, left_out - 1
    return strides


def _width(channels: int) -> Node:
    return Scaled(channels, Given("width_multiplier"), DIVISOR)


def _first(stage: Stage, stride: int) -> Node:
    """The bottleneck that does not expand; nothing about it is searched but its width."""
    parts = [depthwise_conv(3, stride, activation=stage.activation)]
    if stage.squeeze_excite:
        parts.append(SqueezeExcite())
    return Shortcut([*parts, conv(_width(stage.width), 1, activation=None)])


def _stage(stage: Stage, stride: int, options: _Options) -> list[Node]:
    fewest, most = stage.depth
    body = [
        Let(Choice("activation", options.activations)),
        Let(Choice("squeeze_excite", options.squeeze_excite)),
        _bottleneck(stage.width, stride, options),
    ]
    if most > 1:
        body.append(Repeat("block", fewest - 1, most - 1, _bottleneck(stage.width, 1, options)))
    return body


def _bottleneck(width: int, stride: int, options: _Options) -> Node:
    expansion = Channels(Choice("expansion", options.expansions), DIVISOR)
    kernel = Choice("kernel", options.kernels)
    function = Given("activation")
    return Shortcut(
        [
            conv(expansion, 1, activation=function),
            depthwise_conv(kernel, stride, activation=function),
            Given("squeeze_excite", {"False": [], "True": SqueezeExcite()}),
            conv(_width(width), 1, activation=None),
        ]
    )


def _references(plan: Layout, options: _Options) -> dict[str, dict[str, Value]]:
    """The published network, unless a decision of it is not among the options."""
    params: dict[str, Value] = {"width_multiplier": 1.0, "dropout": True}
    possible = plan.name != "" and 1.0 in options.widths
    for number, stage in enumerate(plan.stages):
        name = f"stage{number}"
        params[f"{name}/activation"] = stage.activation
        params[f"{name}/squeeze_excite"] = stage.squeeze_excite
        possible &= stage.activation in options.activations
        possible &= stage.squeeze_excite in options.squeeze_excite
        if stage.depth[0] < stage.depth[1]:
            params[f"{name}/block/depth"] = len(stage.published) - 1
        for place, (kernel, expansion) in enumerate(stage.published):
            block = f"{name}/block/{place - 1}" if place else name
            params[f"{block}/kernel"], params[f"{block}/expansion"] = kernel, expansion
            possible &= kernel in options.kernels and expansion in options.expansions
    return {plan.name: params} if possible else {}
