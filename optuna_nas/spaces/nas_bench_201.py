"""NAS-Bench-201 (Dong & Yang 2020): one cell of six edges, 15,625 architectures.

The macro skeleton is the paper's: a stem, three stages of equal cells with a residual block of
stride 2 between them, and a head. With 16 channels, five cells a stage and 32x32x3 inputs its
parameters and multiply-accumulates equal the benchmark's tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from optuna_nas.errors import GenotypeError
from optuna_nas.space import (
    Cell,
    Choice,
    Edge,
    Genotype,
    Node,
    Parallel,
    Repeat,
    Scope,
    SearchSpace,
    Tied,
    activation,
    average_pooling,
    batch_normalization,
    conv,
    global_average_pooling,
    identity,
    layer,
    zero,
    zero_padding,
)
from optuna_nas.spaces.arguments import check_counts, check_shape

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = tuple(f"{source}->{node}" for node in (1, 2, 3) for source in range(node))


def nas_bench_201(
    *,
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    channels: int = 16,
    cells: int = 5,
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """The NAS-Bench-201 space.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        channels: Channels of the first stage; the paper's 16. Each later stage has twice as many.
        cells: Cells a stage; the paper's 5.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.

    Returns:
        A space of six decisions named ``cell/0->1`` to ``cell/2->3``.
    """
    check_shape(input_shape, "height", "width", "channels")
    check_counts(1, channels=channels, cells=cells)
    body: list[Node] = [conv(channels, 3, activation=None)]
    sizes = tuple(input_shape[:2])
    for stage, width in enumerate((channels, 2 * channels, 4 * channels)):
        if stage:
            # The benchmark's pooling leaves out the last pixels of an odd size, which its
            # convolutions do not: then both must keep them to be added.
            padding = "same" if any(size % 2 for size in sizes) else "valid"
            body.append(Scope(f"reduction{stage}", _residual_block(width, padding)))
            sizes = tuple((size + 1) // 2 for size in sizes)
        body.append(Scope(f"stage{stage}", Repeat("cells", cells, cells, Tied(_cell(width)))))
    body += [batch_normalization(), activation("relu"), global_average_pooling()]
    return SearchSpace(
        "nas_bench_201",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references={name: from_string(text).params for name, text in PUBLISHED.items()},
    )


def _cell(channels: int) -> Cell:
    operations = {
        "none": zero(),
        "skip_connect": identity(),
        "nor_conv_1x1": _relu_conv_bn(channels, 1),
        "nor_conv_3x3": _relu_conv_bn(channels, 3),
        "avg_pool_3x3": average_pooling(3, strides=1),
    }
    nodes = [
        Parallel([Edge(source, Choice(f"{source}->{node}", operations)) for source in range(node)])
        for node in (1, 2, 3)
    ]
    return Cell("cell", nodes)


def _relu_conv_bn(channels: int, kernel: int, strides: int = 1) -> Node:
    """The paper's operation; with strides, padded as PyTorch does, which samples other pixels."""
    convolution = conv(channels, kernel, activation=None)
    if strides > 1:
        padded = conv(channels, kernel, strides, activation=None, padding="valid")
        return Scope("down", [activation("relu"), zero_padding(kernel // 2), padded])
    return Scope("conv", [activation("relu"), convolution])


def _residual_block(channels: int, padding: str) -> Node:
    shortcut = [
        average_pooling(2, padding=padding),
        layer("conv2d", filters=channels, kernel_size=1, use_bias=False),
    ]
    residual = [_relu_conv_bn(channels, 3, strides=2), _relu_conv_bn(channels, 3)]
    return Parallel({"shortcut": shortcut, "residual": residual})


def to_string(genotype: Mapping[str, object]) -> str:
    """The benchmark's own string: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""
    return "+".join(
        "|" + "".join(f"{genotype[f'cell/{source}->{node}']}~{source}|" for source in range(node))
        for node in (1, 2, 3)
    )


def from_string(text: str) -> Genotype:
    """The genotype of one of the benchmark's strings.

    Raises:
        GenotypeError: The string is not one of the benchmark's.
    """
    params: dict[str, str] = {}
    for node, group in enumerate(text.split("+"), start=1):
        for operation, source in re.findall(r"([a-z0-9_]+)~([0-9])", group):
            params[f"cell/{source}->{node}"] = operation
    expected = [f"cell/{edge}" for edge in EDGES]
    if list(params) != expected or not set(params.values()) <= set(OPERATIONS):
        raise GenotypeError(
            f"{text!r} is no NAS-Bench-201 string; expected "
            "'|op~0|+|op~0|op~1|+|op~0|op~1|op~2|' with operations among "
            f"{', '.join(OPERATIONS)}.",
            text,
        )
    return Genotype(params)


PUBLISHED = {
    "ResNet": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|",
    "best": (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
        "|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    ),
}
"""The paper's ResNet cell, and the cell of the best mean test accuracy on CIFAR-10, 94.37 %."""
