"""Some decisions side by side in arrays, so that a step for all of them is one of numpy's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from optuna_nas.search.policy.vocabulary import Decision


@dataclass(frozen=True, eq=False)
class Layout:
    """Numbers of decisions and their cells; `most` is the largest number of cells of any.

    Attributes:
        rows: Numbers of the names, shape (decisions,).
        slots: Numbers of the cells, 0 where there is none: shape (decisions, most).
        kinds: Shared numbers of the cells, likewise.
        valid: Where there is a cell, shape (decisions, most).
    """

    rows: NDArray[np.int64]
    slots: NDArray[np.int64]
    kinds: NDArray[np.int64]
    valid: NDArray[np.bool_]


@lru_cache(maxsize=64)  # most batches hold the same decisions as the one before
def layout_of(decisions: tuple[Decision, ...]) -> Layout:
    """The layout of some decisions."""
    most = max((len(decision.cells) for decision in decisions), default=1)
    slots = np.zeros((len(decisions), most), dtype=np.int64)
    kinds, valid = slots.copy(), np.zeros(slots.shape, dtype=bool)
    for index, decision in enumerate(decisions):
        count = len(decision.cells)
        slots[index, :count] = decision.slots
        kinds[index, :count] = decision.kinds
        valid[index, :count] = True
    rows = np.array([decision.row for decision in decisions], dtype=np.int64)
    return Layout(rows, slots, kinds, valid)


def summed(
    values: NDArray[np.float64], numbers: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """Sums of the values that belong to each number; as `np.add.at`, but much faster.

    Args:
        values: Shape (*numbers.shape, ...).
        numbers: From 0 to `count`, any shape.
        count: How many numbers there are.

    Returns:
        Shape (count, ...).
    """
    rest = values.shape[numbers.ndim :]
    size = math.prod(rest)
    index = numbers[..., None] * size + np.arange(size)
    sums = np.bincount(index.ravel(), values.ravel(), count * size)
    return sums.astype(np.float64, copy=False).reshape(count, *rest)
