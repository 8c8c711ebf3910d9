"""Decisions about training that are searched together with the network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from optuna_nas.errors import SpaceError
from optuna_nas.space import Choice, Float, Node
from optuna_nas.spaces.arguments import check_names, check_numbers, check_sizes

# In eight epochs, networks of chain_cnn and tabular_mlp did best at 3e-3 to 3e-2 with adam and at
# 3e-3 to 3e-1 with sgd, on digits, MNIST at 14x14, breast cancer and a synthetic table. Larger
# networks and longer trainings want smaller rates.
LEARNING_RATES = {"adam": (3e-4, 3e-2), "sgd": (3e-3, 3e-1)}
"""Least and most learning rate, by optimizer."""


def training_decisions(
    *,
    optimizers: Sequence[str] | Mapping[str, tuple[float, float]] = ("adam", "sgd"),
    weight_decay: tuple[float, float] | None = (1e-6, 1e-1),
    batch_sizes: Sequence[int] = (32, 64, 128),
    label_smoothing: Sequence[float] = (0.0, 0.1),
    images: bool = False,
    mixup: Sequence[float] = (),
) -> list[Node]:
    """What a space takes as ``training=``, and `keras_nas.train` understands.

    An optimizer has a learning rate of its own range. For images, decisions on augmentation are
    added: "flip", "crop" and "cutout" (see `keras_nas.augmentation`).

    Args:
        optimizers: Names of optimizers, "adam" and "sgd", or their ranges of learning rates. With
            a range, `keras_nas.NASHyperModel` takes any other of Keras's by its name too.
        weight_decay: Least and most decoupled weight decay, above 0; None for none.
        batch_sizes: Examples a step.
        label_smoothing: Shares of each target that are spread over all classes, below 1.
        images: Whether examples are images that may be mirrored, moved and cut.
        mixup: Concentrations of mixup (Zhang et al. 2018), such as 0 for none and 0.2; where left
            out, it is not decided.

    Raises:
        SpaceError: An optimizer has no range of learning rates, or a number has no meaning.
    """
    check_names(optimizers=tuple(optimizers) if isinstance(optimizers, Mapping) else optimizers)
    check_sizes(batch_sizes=batch_sizes)
    check_numbers(0, 1, label_smoothing=label_smoothing)
    if mixup:
        check_numbers(0, math.inf, mixup=mixup)
    if not isinstance(optimizers, Mapping):
        for name in optimizers:
            if name not in LEARNING_RATES:
                raise SpaceError(
                    f"training_decisions: optimizers are {' and '.join(LEARNING_RATES)}, got "
                    f"{name!r}; give others with the range of their learning rates in a dict.",
                    name,
                )
        optimizers = {name: LEARNING_RATES[name] for name in optimizers}
    rates = {
        name: _range("learning_rate", bounds, f"optimizers[{name!r}]")
        for name, bounds in optimizers.items()
    }
    nodes: list[Node] = [Choice("optimizer", rates)]
    if weight_decay is not None:
        nodes.append(_range("weight_decay", weight_decay, "weight_decay"))
    nodes.append(Choice("batch_size", batch_sizes))
    nodes.append(Choice("label_smoothing", label_smoothing))
    if images:
        nodes += [
            Choice("flip", [False, True]),
            Choice("crop", [0.0, 0.125]),
            Choice("cutout", [0.0, 0.25, 0.5]),
        ]
    if mixup:
        nodes.append(Choice("mixup", mixup))
    return nodes


def _range(name: str, bounds: tuple[float, float], argument: str) -> Float:
    """A decision within bounds that are positive numbers, the smaller first."""
    numbers = isinstance(bounds, Sequence) and all(isinstance(x, int | float) for x in bounds)
    if not numbers or len(bounds) != 2 or not 0 < bounds[0] <= bounds[1] < math.inf:
        raise SpaceError(
            f"{argument} must be (least, most), numbers above 0, got {bounds!r}.", bounds
        )
    return Float(name, *bounds, log=True)
