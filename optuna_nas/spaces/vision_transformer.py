"""Vision transformers (Dosovitskiy et al. 2021) with the choices of AutoFormer (Chen et al. 2021).

With the default arguments the space is that of AutoFormer-T without its relative positions, and the
reference "DeiT-Ti" has the 5,717,416 parameters of that network (Touvron et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from optuna_nas.errors import SpaceError
from optuna_nas.space import (
    Choice,
    Node,
    Repeat,
    SearchSpace,
    Tied,
    class_token,
    conv,
    cropping1d,
    flatten,
    layer,
    layer_normalization,
    position_embedding,
    transformer_block,
)
from optuna_nas.space.decisions import Params, Value
from optuna_nas.space.sequence_layers import mlp_of
from optuna_nas.spaces.arguments import check_counts, check_numbers, check_shape, check_sizes

GRID = 14
"""Patches along the shorter side of an image, where their size is left out."""


def vision_transformer(
    *,
    input_shape: Sequence[int] = (224, 224, 3),
    classes: int = 1000,
    patch: int | None = None,
    widths: Sequence[int] = (192, 216, 240),
    depths: tuple[int, int] = (12, 14),
    heads: Sequence[int] = (3, 4),
    key_dim: int = 64,
    mlp_ratios: Sequence[float] = (3.5, 4.0),
    dropout_rate: float | None = None,
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """Patches, a class token and positions, then transformer blocks.

    The width is one for the whole network; each block has heads and a ratio of its own.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        patch: Height and width of a patch; where left out, 14 fit the shorter side. Pixels that
            fill no patch are left out.
        widths: Channels of a step.
        depths: Least and most blocks.
        heads: Heads a block may have.
        key_dim: Channels of a head.
        mlp_ratios: How many times wider the dense layer in a block may be.
        dropout_rate: Of the dropout in a block; None: there is none.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.

    Raises:
        SpaceError: The input is no image, or smaller than a patch.
    """
    check_shape(input_shape, "height", "width", "channels")
    check_counts(1, key_dim=key_dim, patch=1 if patch is None else patch)
    check_sizes(widths=widths, heads=heads)
    check_numbers(1, math.inf, mlp_ratios=mlp_ratios)
    whole = isinstance(depths, Sequence) and all(isinstance(depth, int) for depth in depths)
    if not whole or len(depths) != 2 or not 0 <= depths[0] <= depths[1] > 0:
        raise SpaceError(f"depths must be the least and the most blocks, got {depths!r}.", depths)
    size = max(1, min(input_shape[:2]) // GRID) if patch is None else patch
    steps = (input_shape[0] // size) * (input_shape[1] // size)
    if steps < 1:
        raise SpaceError(f"patch={size} does not fit an image of {tuple(input_shape)}.", patch)
    width = Tied(Choice("width", widths))
    patches = conv(width, size, size, padding="valid", activation=None, normalization=False)
    mlp = Choice("mlp_ratio", {str(float(ratio)): mlp_of(ratio) for ratio in mlp_ratios})
    block = transformer_block(Choice("heads", heads), key_dim, mlp, dropout_rate=dropout_rate)
    body: list[Node] = [
        patches,
        layer("reshape", target_shape=(steps, width)),
        class_token(),
        position_embedding(),
        Repeat("block", *depths, block),
        layer_normalization(),
        cropping1d((0, steps)),
        flatten(),
    ]
    published = depths[0] <= 12 <= depths[1] and key_dim == 64
    published &= 192 in widths and 3 in heads and 4 in mlp_ratios
    return SearchSpace(
        "vision_transformer",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references={"DeiT-Ti": _deit_tiny()} if published else None,
    )


def _deit_tiny() -> Params:
    params: dict[str, Value] = {"width": 192, "block/depth": 12}
    for i in range(12):
        params |= {f"block/{i}/heads": 3, f"block/{i}/mlp_ratio": "4.0"}
    return params
