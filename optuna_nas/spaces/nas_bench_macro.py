"""NAS-Bench-Macro (Su et al. 2021): eight layers of three kinds, 6,561 architectures.

The paper is "Prioritized Architecture Sampling with Monto-Carlo Tree Search" (CVPR 2021). With 32
channels and 32x32x3 inputs, parameters equal the benchmark's table for all architectures. So do
multiply-accumulates, but for the bias of the last layer, which the table leaves out: it has one
less a class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna_nas.errors import GenotypeError
from optuna_nas.space import (
    Choice,
    Genotype,
    Node,
    SearchSpace,
    conv,
    depthwise_conv,
    global_average_pooling,
    identity,
    residual,
    zero_padding,
)
from optuna_nas.spaces.arguments import check_counts, check_shape, check_sizes

OPERATIONS = ("identity", "mb3_k3", "mb6_k5")
DEPTHS = (2, 3, 3)


def nas_bench_macro(
    *,
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    channels: int = 32,
    depths: Sequence[int] = DEPTHS,
    head: int = 1280,
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """The NAS-Bench-Macro space.

    Each layer is an identity or an inverted residual (Sandler et al. 2018) of expansion 3 and
    kernel 3, or of expansion 6 and kernel 5. The first layer of a stage halves the resolution and
    doubles the channels; an identity does so by a 1x1 convolution.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        channels: Channels of the stem; the paper's 32.
        depths: Layers of each stage; the paper's 2, 3 and 3.
        head: Channels of the last convolution; the paper's 1280.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.

    Returns:
        A space of one decision a layer, named ``layer0``, ``layer1`` and so on.
    """
    check_shape(input_shape, "height", "width", "channels")
    check_counts(1, channels=channels, head=head)
    check_sizes(depths=depths)
    body: list[Node] = [conv(channels, 3)]
    width = channels
    strides = [2 if place == 0 else 1 for depth in depths for place in range(depth)]
    for position, stride in enumerate(strides):
        body.append(Choice(f"layer{position}", _layers(width, width * stride, stride)))
        width *= stride
    body += [conv(head, 1), global_average_pooling()]
    best = {"best": from_code("22212202").params} if tuple(depths) == DEPTHS else None
    return SearchSpace(
        "nas_bench_macro",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references=best,
    )


def _layers(inputs: int, outputs: int, stride: int) -> dict[str, Node | list[Node]]:
    return {
        "identity": conv(outputs, 1, stride, activation=None) if stride > 1 else identity(),
        "mb3_k3": _inverted_residual(inputs, outputs, stride, expansion=3, kernel=3),
        "mb6_k5": _inverted_residual(inputs, outputs, stride, expansion=6, kernel=5),
    }


def _inverted_residual(
    inputs: int, outputs: int, stride: int, *, expansion: int, kernel: int
) -> Node | list[Node]:
    expand, project = conv(expansion * inputs, 1), conv(outputs, 1, activation=None)
    if stride == 1:
        return residual([expand, depthwise_conv(kernel), project], project=False)
    # Padded as PyTorch does, which samples other pixels than TensorFlow's "same".
    depthwise = depthwise_conv(kernel, stride, padding="valid")
    return [expand, zero_padding(kernel // 2), depthwise, project]


def to_code(genotype: Mapping[str, object]) -> str:
    """The benchmark's own code, a digit a layer: 0 identity, 1 MB3-K3, 2 MB6-K5."""
    digits: list[str] = []
    while (name := f"layer{len(digits)}") in genotype:
        digits.append(str(OPERATIONS.index(str(genotype[name]))))
    return "".join(digits)


def from_code(code: str) -> Genotype:
    """The genotype of one of the benchmark's codes, such as ``"22212202"``.

    Raises:
        GenotypeError: The code has characters other than 0, 1 and 2, or is empty.
    """
    if not code or not set(code) <= set("012"):
        raise GenotypeError(
            f"{code!r} is no NAS-Bench-Macro code; expected a digit a layer among 0 (identity), "
            "1 (MB3-K3) and 2 (MB6-K5), such as '22212202'.",
            code,
        )
    return Genotype({f"layer{i}": OPERATIONS[int(digit)] for i, digit in enumerate(code)})
