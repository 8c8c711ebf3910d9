"""The values of a domain as a few cells, one of which a policy chooses."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from optuna_nas.space.decisions import Categorical, Domain, FloatRange, IntegerRange, Value

# Ranges of up to so many values have a cell for each; longer and continuous ones are cut into BINS
# cells of equal width (of the logarithm where the range says so), within which values are drawn
# uniformly. More cells are finer and slower to learn: each needs trials of its own.
MOST_VALUES = 16
BINS = 8


@dataclass(frozen=True)
class Cells:
    """What a policy chooses from to decide a domain.

    Attributes:
        domain: The domain.
        keys: One a cell. The same key stands for the same values, also in another domain: a range
            that grows keeps what was learnt of its values.
        edges: For ranges, shape (cells + 1,): cell i holds the values from edge i up to, and
            without, edge i + 1. Of stepped ranges these are positions, else logarithms or values.
    """

    domain: Domain
    keys: tuple[Hashable, ...]
    edges: NDArray[np.float64] | None = None
    _index: dict[Hashable, int] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, value: Value) -> int:
        """The cell that holds a value; -1 if the domain does not."""
        if isinstance(self.domain, Categorical):
            return self._index.get(repr(value), -1)
        if not _within(self.domain, value):
            return -1
        assert self.edges is not None
        position = int(np.searchsorted(self.edges, _position(self.domain, value), "right")) - 1
        return min(max(position, 0), len(self) - 1)

    def draw(self, cell: int, rng: np.random.Generator) -> Value:
        """A value of a cell, each as likely."""
        if isinstance(self.domain, Categorical):
            return self.domain.choices[cell]
        assert self.edges is not None
        low, high = self.edges[cell], self.edges[cell + 1]
        if _stepped(self.domain):
            at = int(low) if high - low == 1 else int(rng.integers(int(low), int(high)))
            return _value(self.domain, at)
        return _value(self.domain, float(rng.uniform(low, high)))


def cells_of(domain: Domain) -> Cells:
    """Cut a domain into cells."""
    if isinstance(domain, Categorical):
        keys = tuple(repr(choice) for choice in domain.choices)
        return Cells(domain, keys, None, {key: index for index, key in enumerate(keys)})
    if domain.size <= MOST_VALUES and _stepped(domain):
        edges = np.arange(domain.size + 1, dtype=np.float64)
        return Cells(domain, tuple(repr(value) for value in domain.values()), edges)
    edges = _edges(domain)
    return Cells(domain, tuple((domain, cell) for cell in range(len(edges) - 1)), edges)


def _edges(domain: IntegerRange | FloatRange) -> NDArray[np.float64]:
    if not _stepped(domain):
        return np.linspace(_position(domain, domain.low), _position(domain, domain.high), BINS + 1)
    if domain.log:  # only integers are both stepped and logarithmic; their step is 1
        edges = np.geomspace(domain.low, domain.high + 1, BINS + 1) - domain.low
    else:
        edges = np.linspace(0, domain.size, BINS + 1)
    return np.unique(np.round(edges))


def _stepped(domain: IntegerRange | FloatRange) -> bool:
    return isinstance(domain, IntegerRange) or domain.step is not None or domain.size == 1


def _within(domain: IntegerRange | FloatRange, value: Value) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and domain.low <= float(value) <= domain.high


def _position(domain: IntegerRange | FloatRange, value: Value) -> float:
    """Where a value lies: the number of its step, its logarithm, or itself."""
    if isinstance(domain, IntegerRange):
        return (int(value) - domain.low) // domain.step
    if _stepped(domain):
        return round((float(value) - domain.low) / (domain.step or 1.0))
    return math.log(float(value)) if domain.log else float(value)


def _value(domain: IntegerRange | FloatRange, position: float) -> Value:
    if isinstance(domain, IntegerRange):
        return domain.low + int(position) * domain.step
    if _stepped(domain):
        return min(domain.low + position * (domain.step or 0.0), domain.high)
    value = math.exp(position) if domain.log else position
    return min(max(value, domain.low), domain.high)
