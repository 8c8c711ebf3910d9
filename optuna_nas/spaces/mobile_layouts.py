"""Published networks of inverted bottlenecks: the skeletons that `mobile_cnn` takes.

Sandler et al. (2018), "MobileNetV2", table 2; Howard et al. (2019), "Searching for MobileNetV3",
tables 1 and 2; Cai et al. (2019), "ProxylessNAS".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """Inverted bottlenecks of one width.

    Args:
        width: Channels that come out, before the width multiplier.
        depth: Fewest and most bottlenecks.
        stride: Of the first one, in images large enough.
        published: The published network's bottlenecks: kernel and expansion of each.
        squeeze_excite: Whether these have squeeze-and-excitation.
        activation: Theirs.
    """

    width: int
    depth: tuple[int, int]
    stride: int
    published: Sequence[tuple[int, float]] = ()
    squeeze_excite: bool = False
    activation: str = "relu6"


@dataclass(frozen=True)
class Layout:
    """The skeleton of a network of inverted bottlenecks.

    Args:
        stem: Channels of the first convolution, whose stride is 2 in images large enough.
        first: The stage behind it, of one bottleneck that does not expand.
        stages: The others.
        head: Channels of the last convolution; a float for so many times those of the last stage.
        dense: Units of a dense layer behind the pooling; 0 for none.
        activation: Of the first and the last convolution.
        name: The published network's.
    """

    stem: int
    first: Stage
    stages: tuple[Stage, ...]
    head: int | float
    dense: int = 0
    activation: str = "relu6"
    name: str = ""


def _v2(width: int, depth: int, stride: int, most: int = 4) -> Stage:
    return Stage(width, (1, most), stride, [(3, 6.0)] * depth)


LAYOUTS: dict[str, Layout] = {
    # Sandler et al. (2018), table 2.
    "mobilenet_v2": Layout(
        32,
        Stage(16, (1, 1), 1, [(3, 1.0)]),
        (
            _v2(24, 2, 2),
            _v2(32, 3, 2),
            _v2(64, 4, 2),
            _v2(96, 3, 1),
            _v2(160, 3, 2),
            _v2(320, 1, 1, most=1),
        ),
        head=1280,
        name="MobileNetV2",
    ),
    # Howard et al. (2019), table 1.
    "mobilenet_v3_large": Layout(
        16,
        Stage(16, (1, 1), 1, [(3, 1.0)], activation="relu"),
        (
            Stage(24, (1, 4), 2, [(3, 4.0), (3, 3.0)], activation="relu"),
            Stage(40, (1, 4), 2, [(5, 3.0)] * 3, squeeze_excite=True, activation="relu"),
            Stage(80, (1, 4), 2, [(3, 6.0), (3, 2.5), *[(3, 2.3)] * 2], activation="hard_silu"),
            Stage(112, (1, 4), 1, [(3, 6.0)] * 2, squeeze_excite=True, activation="hard_silu"),
            Stage(160, (1, 4), 2, [(5, 6.0)] * 3, squeeze_excite=True, activation="hard_silu"),
        ),
        head=6.0,
        dense=1280,
        activation="hard_silu",
        name="MobileNetV3-Large",
    ),
    # Howard et al. (2019), table 2; expansions of 72 / 16 and 88 / 24.
    "mobilenet_v3_small": Layout(
        16,
        Stage(16, (1, 1), 2, [(3, 1.0)], squeeze_excite=True, activation="relu"),
        (
            Stage(24, (1, 4), 2, [(3, 4.5), (3, 3.67)], activation="relu"),
            Stage(
                40,
                (1, 4),
                2,
                [(5, 4.0), (5, 6.0), (5, 6.0)],
                squeeze_excite=True,
                activation="hard_silu",
            ),
            Stage(48, (1, 4), 1, [(5, 3.0)] * 2, squeeze_excite=True, activation="hard_silu"),
            Stage(96, (1, 4), 2, [(5, 6.0)] * 3, squeeze_excite=True, activation="hard_silu"),
        ),
        head=6.0,
        dense=1024,
        activation="hard_silu",
        name="MobileNetV3-Small",
    ),
    # Cai et al. (2019): the widths and depths of the space; its networks are found by search.
    "proxyless": Layout(
        32,
        Stage(16, (1, 1), 1, [(3, 1.0)]),
        (
            Stage(24, (1, 4), 2),
            Stage(40, (1, 4), 2),
            Stage(80, (1, 4), 2),
            Stage(96, (1, 4), 1),
            Stage(192, (1, 4), 2),
            Stage(320, (1, 1), 1),
        ),
        head=1280,
    ),
}
