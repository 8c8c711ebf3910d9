"""Named features as the columns of a matrix, in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Features = Mapping[str, float]


class Columns:
    """Which feature is which column: those that differ among the rows of a sample.

    What a name says before its first ``=`` is its group: the values of a decision belong together.
    Features that are 0 or 1 are divided by sqrt(2), so that two different values of a decision are
    at distance 1; others by sqrt(2) standard deviations, so that a random pair is.

    Args:
        sample: Named features; a name that is missing stands for 0.
    """

    def __init__(self, sample: Sequence[Features]) -> None:
        names = sorted({name for row in sample for name in row})
        self._index = {name: column for column, name in enumerate(names)}
        self._centre = np.zeros(len(names))
        self._scale = np.ones(len(names))
        values = self.matrix(sample)
        spread = values.std(axis=0) if len(sample) else np.zeros(len(names))
        varies = spread > 1e-9 * np.maximum(1.0, np.abs(values).max(axis=0, initial=0.0))
        binary = np.all((values == 0.0) | (values == 1.0), axis=0)
        kept = [name for name, keep in zip(names, varies, strict=True) if keep]
        self._index = {name: column for column, name in enumerate(kept)}
        self._centre = values[:, varies].mean(axis=0) if kept else np.zeros(0)
        self._scale = 1.0 / (np.sqrt(2.0) * np.where(binary, 1.0, spread)[varies])
        order: dict[str, int] = {}
        groups = [order.setdefault(name.split("=", 1)[0], len(order)) for name in kept]
        self.groups: NDArray[np.int64] = np.array(groups, dtype=np.int64)  # (columns,)

    def matrix(self, rows: Sequence[Features]) -> NDArray[np.float64]:
        """Centred and scaled features, shape (rows, columns); unknown names are left out."""
        count = len(self._index)
        # What is unknown goes to one more column, which is cut off.
        columns = [self._index.get(name, count) for features in rows for name in features]
        entries = [value for features in rows for value in features.values()]
        lengths = [len(features) for features in rows]
        values = np.zeros((len(rows), count + 1))
        values[np.repeat(np.arange(len(rows)), lengths), np.array(columns, dtype=np.intp)] = entries
        scaled: NDArray[np.float64] = (values[:, :count] - self._centre) * self._scale
        return scaled
