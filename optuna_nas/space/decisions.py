"""Decision points: what can be decided in a space, apart from what the decisions build.

A space is a tree of points. A point has a name, a domain, and further points that exist only under
some of its values. Everything that walks decisions (suggesting, sampling, counting, mutating) is
written once, on points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Union

import numpy as np

Value = Union[bool, int, float, str]
Params = Mapping[str, Value]

# Error in the number of steps that rounding may cause.
_ROUNDING = 1e-9


class Suggester(Protocol):
    """What a host offers: an Optuna trial, or anything with its three methods."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


@dataclass(frozen=True)
class Categorical:
    """One of a few values without an order."""

    choices: tuple[Value, ...]

    @property
    def size(self) -> int:
        return len(self.choices)

    def values(self) -> Iterable[Value]:
        return self.choices

    def normalise(self, value: Any) -> Value | None:
        """The plain Python value of the domain that ``value`` stands for; None if there is none."""
        for choice in self.choices:
            if choice == value and isinstance(value, (bool, np.bool_)) == isinstance(choice, bool):
                return choice
        return None

    def sample(self, rng: np.random.Generator) -> Value:
        return self.choices[int(rng.integers(len(self.choices)))]

    def move(self, value: Value, rng: np.random.Generator) -> Value:
        """A different value, each as likely."""
        others = [choice for choice in self.choices if choice != value]
        return others[int(rng.integers(len(others)))]

    def suggest(self, trial: Suggester, name: str) -> Value:
        value: Value = trial.suggest_categorical(name, self.choices)
        return value


@dataclass(frozen=True)
class IntegerRange:
    """An integer from ``low`` to ``high``, both included, in steps."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    @property
    def size(self) -> int:
        return (self.high - self.low) // self.step + 1

    def values(self) -> range:
        return range(self.low, self.high + 1, self.step)

    def normalise(self, value: Any) -> int | None:
        if isinstance(value, (bool, np.bool_)) or not isinstance(
            value, (int, float, np.integer, np.floating)
        ):
            return None
        if not math.isfinite(value) or value != int(value):
            return None
        return int(value) if int(value) in range(self.low, self.high + 1, self.step) else None

    def sample(self, rng: np.random.Generator) -> int:
        if self.log:
            drawn = math.exp(rng.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
            return min(max(round(drawn), self.low), self.high)
        return self.low + self.step * int(rng.integers(self.size, dtype=np.uint64))

    def move(self, value: Value, rng: np.random.Generator) -> int:
        """A different value, each as likely."""
        position = (int(value) - self.low) // self.step
        other = int(rng.integers(self.size - 1, dtype=np.uint64))
        return self.low + self.step * (other + (other >= position))

    def suggest(self, trial: Suggester, name: str) -> int:
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)


@dataclass(frozen=True)
class FloatRange:
    """A real number from ``low`` to ``high``, in steps or continuous."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    # Of a continuous range, neighbours are this share of it up and down, and mutation moves by a
    # normal step of this standard deviation (of the logarithm where log is set).
    _STEP = 0.1

    @property
    def size(self) -> float:
        if self.step is None:
            return math.inf if self.high > self.low else 1
        return math.floor((self.high - self.low) / self.step + _ROUNDING) + 1

    def values(self) -> Iterable[float]:
        """All values of a stepped range; eleven evenly spread ones of a continuous range."""
        if self.size == 1:
            return [self.low]
        if self.step is None:
            return [self._from_unit(position / 10) for position in range(11)]
        return [self._at(position) for position in range(int(self.size))]

    def normalise(self, value: Any) -> float | None:
        if isinstance(value, (bool, np.bool_)) or not isinstance(
            value, (int, float, np.integer, np.floating)
        ):
            return None
        number = float(value)
        if not self.low <= number <= self.high:
            return None
        if self.step is not None:
            steps = (number - self.low) / self.step
            if abs(steps - round(steps)) > _ROUNDING * max(1.0, steps):
                return None
        return number

    def sample(self, rng: np.random.Generator) -> float:
        if self.step is not None:
            return self._at(int(rng.integers(int(self.size))))
        return self._from_unit(float(rng.random()))

    def move(self, value: Value, rng: np.random.Generator) -> float:
        """A different value nearby, reflected at the borders."""
        if self.step is not None:
            position = round((float(value) - self.low) / self.step)
            other = int(rng.integers(int(self.size) - 1))
            return self._at(other + (other >= position))
        while True:
            unit = (self._to_unit(float(value)) + self._STEP * float(rng.standard_normal())) % 2
            moved = self._from_unit(2 - unit if unit > 1 else unit)
            if moved != value:
                return moved

    def _at(self, position: int) -> float:
        # Rounding may lead a hair past the end.
        return min(self.low + position * (self.step or 0.0), self.high)

    def _from_unit(self, unit: float) -> float:
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return min(max(math.exp(low + unit * (high - low)), self.low), self.high)
        return min(max(self.low + unit * (self.high - self.low), self.low), self.high)

    def _to_unit(self, value: float) -> float:
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return (math.log(value) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)

    def suggest(self, trial: Suggester, name: str) -> float:
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)


Domain = Union[Categorical, IntegerRange, FloatRange]


def typical(domain: Domain) -> Value:
    """The first of a few values, the middle of a range."""
    if isinstance(domain, Categorical):
        return domain.choices[0]
    values = list(domain.values()) if isinstance(domain, FloatRange) else domain.values()
    return values[len(values) // 2]


@dataclass(frozen=True)
class Point:
    """One named decision and the decisions that hang on it.

    Args:
        name: Full path of the decision: the name of the host's parameter.
        domain: Values it may take.
        branches: Points that exist under a value.
        copies: For the depth of a repetition: the points of each copy; a depth of ``d`` makes the
            first ``d`` exist.
        copy_prefix: Where a repetition's copies live: copy ``i`` under ``f"{copy_prefix}{i}/"``.
        tied: Whether other places may hold the same point, so that it is decided only once.
    """

    name: str
    domain: Domain
    branches: Mapping[Value, tuple[Point, ...]] = field(default_factory=dict)
    copies: tuple[tuple[Point, ...], ...] = ()
    copy_prefix: str = ""
    tied: bool = False

    def children(self, value: Value) -> tuple[Point, ...]:
        """Points that exist once this one has taken ``value``."""
        if self.copies:
            return tuple(point for copy in self.copies[: int(value)] for point in copy)
        return self.branches.get(value, ())

    def descend(self) -> Iterator[Point]:
        """This point and all that may ever hang on it."""
        yield self
        groups = self.copies or tuple(self.branches.values())
        for group in groups:
            for point in group:
                yield from point.descend()


def decide(points: Iterable[Point], choose: Callable[[Point], Value]) -> dict[str, Value]:
    """Take every decision that exists, in order, and return name -> value."""
    taken: dict[str, Value] = {}

    def visit(group: Iterable[Point]) -> None:
        for point in group:
            if point.name not in taken:  # a tied point is met again
                taken[point.name] = choose(point)
                visit(point.children(taken[point.name]))

    visit(points)
    return taken


def active(points: Iterable[Point], params: Params) -> list[Point]:
    """Points that exist under complete ``params``, in order."""
    found: list[Point] = []

    def choose(point: Point) -> Value:
        found.append(point)
        return params[point.name]

    decide(points, choose)
    return found


def completions(points: tuple[Point, ...], fixed: Params) -> Iterator[dict[str, Value]]:
    """Every assignment that agrees with ``fixed`` wherever it names a decision that exists."""

    # A stack of alternatives instead of recursion: spaces may have thousands of decisions.
    stack: list[Iterator[tuple[tuple[Point, ...], dict[str, Value]]]] = [iter([(points, {})])]
    while stack:
        state = next(stack[-1], None)
        if state is None:
            stack.pop()
            continue
        pending, taken = state
        while pending:
            point, pending = pending[0], pending[1:]
            if point.name in taken:  # a tied point is met again
                continue
            known = point.domain.normalise(fixed.get(point.name))
            if known is None:
                stack.append(_alternatives(point, pending, taken))
                break
            taken[point.name] = known
            pending = point.children(known) + pending
        else:
            yield taken


def _alternatives(
    point: Point, rest: tuple[Point, ...], taken: dict[str, Value]
) -> Iterator[tuple[tuple[Point, ...], dict[str, Value]]]:
    """What is still to decide, and what is decided, after each value of ``point``."""
    for value in point.domain.values():
        yield point.children(value) + rest, {**taken, point.name: value}
