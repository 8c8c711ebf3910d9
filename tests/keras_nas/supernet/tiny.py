"""A space small enough to be trained in tests, with every kind of decision."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from optuna_nas import SearchSpace
from optuna_nas.space import (
    Choice,
    Integer,
    Repeat,
    Subset,
    conv,
    global_average_pooling,
    identity,
    max_pooling,
    zero,
)

OPERATIONS = {
    "none": zero(),
    "skip": identity(),
    "pool": max_pooling(3, strides=1, padding="same"),
    "conv": conv(3),
}
SPACE = SearchSpace(
    "tiny",
    input_shape=(6, 6, 2),
    classes=3,
    body=[
        conv(3),
        Choice("edge", OPERATIONS),
        Subset("nodes", {"a": conv(3, 1), "b": conv(3), "c": identity()}, 1, 2),
        Repeat("deep", 1, 3, conv(3)),
        conv(Integer("width", 2, 4)),
        conv(4),
        global_average_pooling(),
    ],
)
CHOICE = SearchSpace(
    "choice",
    input_shape=(6, 6, 2),
    classes=3,
    body=[conv(3), Choice("edge", OPERATIONS), global_average_pooling()],
)


def examples(count: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images, and which third of the range their mean lies in."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.normal(size=(count, 6, 6, 2)) + (y - 1)[:, None, None, None]
    return x.astype(np.float32), y


def array(tensor: Any) -> np.ndarray:
    """A copy of a tensor or variable of any backend."""
    return np.array(keras.ops.convert_to_numpy(tensor))
