"""Decisions: alternatives, numbers, and what may be left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna_nas.errors import SpaceError
from optuna_nas.space.decisions import Categorical, FloatRange, IntegerRange, Params, Point, Value
from optuna_nas.space.nodes import (
    PLAIN,
    Emitter,
    Node,
    as_node,
    check_name,
    is_value,
    resolve,
    value_points,
)


@dataclass(frozen=True)
class Choice(Node):
    """One of several alternatives.

    Args:
        name: Name of the decision.
        options: A list of plain values of one type, for an attribute of a layer; or a mapping from
            names to sub-spaces (or values), each of which may hold decisions of its own.
    """

    name: str
    options: Any

    def __post_init__(self) -> None:
        check_name(self.name, "Choice")
        # The order of a set changes from process to process.
        refused = (str, Node, set, frozenset)
        if isinstance(self.options, refused) or not isinstance(self.options, Iterable):
            raise SpaceError(
                f"Choice {self.name!r}: options are a list of values or a dict of alternatives, "
                f"got {self.options!r}.",
                self.options,
            )
        values = tuple(self.options)
        if not values:
            raise SpaceError(f"Choice {self.name!r}: options are empty; give at least one.")
        if isinstance(self.options, Mapping):
            for key, option in self.options.items():
                check_name(key, f"Choice {self.name!r}")
                if not isinstance(option, list) and not is_value(option):
                    raise SpaceError(
                        f"Choice {self.name!r}: option {key!r} must be layers or a plain value, "
                        f"got {option!r} of type {type(option).__name__}.",
                        option,
                    )
            parts = {
                key: as_node(v) if isinstance(v, (Node, list)) else v
                for key, v in self.options.items()
            }
            object.__setattr__(self, "options", parts)
            return
        kinds = {type(value) for value in values}
        if len(kinds) != 1 or not kinds <= set(PLAIN):
            raise SpaceError(
                f"Choice {self.name!r}: options must be plain values of one type (bool, int, float "
                f"or str), got {list(values)!r}; name other alternatives in a dict.",
                values,
            )
        if any(value != value for value in values):
            raise SpaceError(f"Choice {self.name!r}: NaN is no option, got {list(values)!r}.")
        if len(set(values)) != len(values):
            raise SpaceError(f"Choice {self.name!r}: options repeat: {list(values)!r}.", values)
        object.__setattr__(self, "options", values)

    def _branch(self, path: str, key: Value) -> str:
        return f"{path}{self.name}={key}/"

    def points(self, path: str) -> tuple[Point, ...]:
        branches: dict[Value, tuple[Point, ...]] = {}
        if isinstance(self.options, Mapping):
            branches = {
                key: value_points(option, self._branch(path, key))
                for key, option in self.options.items()
            }
        if not any(branches.values()):
            branches = {}
        return (Point(path + self.name, Categorical(tuple(self.options)), branches),)

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        key = emitter.params[path + self.name]
        option = key if isinstance(self.options, tuple) else self.options[key]
        if not isinstance(option, Node):
            raise SpaceError(
                f"Choice {path + self.name!r} gives the value {option!r}, not layers; put it into "
                "an attribute of a layer.",
                option,
            )
        start = emitter.position
        emitted = emitter.emit(option, self._branch(path, key), x)
        emitter.govern((path + self.name,), start)
        return emitted

    def value(self, params: Params, path: str) -> Any:
        key = params[path + self.name]
        if isinstance(self.options, Mapping):
            return resolve(self.options[key], params, self._branch(path, key))
        return key


@dataclass(frozen=True)
class Integer(Node):
    """An integer from ``low`` to ``high``, both included."""

    name: str
    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        check_name(self.name, "Integer")
        bounds = (self.low, self.high, self.step)
        if any(isinstance(b, bool) or not isinstance(b, int) for b in bounds):
            raise SpaceError(f"Integer {self.name!r}: low, high, step must be int, got {bounds}.")
        if self.low > self.high or self.step < 1 or (self.high - self.low) % self.step:
            raise SpaceError(
                f"Integer {self.name!r}: expected low <= high, a positive step that divides "
                f"high - low, got low={self.low}, high={self.high}, step={self.step}."
            )
        if self.log and (self.low < 1 or self.step != 1):
            raise SpaceError(f"Integer {self.name!r}: log needs low >= 1 and step 1.", self.low)

    def points(self, path: str) -> tuple[Point, ...]:
        return (Point(path + self.name, IntegerRange(self.low, self.high, self.step, self.log)),)

    def value(self, params: Params, path: str) -> Any:
        return params[path + self.name]


@dataclass(frozen=True)
class Float(Node):
    """A real number from ``low`` to ``high``, both included."""

    name: str
    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        check_name(self.name, "Float")
        given = (self.low, self.high) if self.step is None else (self.low, self.high, self.step)
        if any(isinstance(n, bool) or not isinstance(n, (int, float)) for n in given):
            raise SpaceError(f"Float {self.name!r}: low, high, step must be numbers, got {given}.")
        for key, number in zip(("low", "high", "step"), given, strict=False):
            object.__setattr__(self, key, float(number))  # 1 and 1.0 are one declaration
        if not float("-inf") < self.low <= self.high < float("inf"):
            raise SpaceError(
                f"Float {self.name!r}: expected finite low <= high, got {self.low}, {self.high}."
            )
        if self.log and (self.low <= 0 or self.step is not None):
            raise SpaceError(f"Float {self.name!r}: log needs low > 0 and no step.", self.low)
        if self.step is not None and not 0 < self.step < float("inf"):
            raise SpaceError(f"Float {self.name!r}: step must be positive, got {self.step}.")
        if self._domain.normalise(self.high) is None:
            raise SpaceError(
                f"Float {self.name!r}: step must divide high - low, got low={self.low}, "
                f"high={self.high}, step={self.step}."
            )

    @property
    def _domain(self) -> FloatRange:
        return FloatRange(self.low, self.high, self.step, self.log)

    def points(self, path: str) -> tuple[Point, ...]:
        return (Point(path + self.name, self._domain),)

    def value(self, params: Params, path: str) -> Any:
        return params[path + self.name]


@dataclass(frozen=True)
class Maybe(Node):
    """Something that may be left out: a layer of a chain, a branch, a skip connection."""

    name: str
    body: Any

    def __post_init__(self) -> None:
        check_name(self.name, "Maybe")
        object.__setattr__(self, "body", as_node(self.body))

    def points(self, path: str) -> tuple[Point, ...]:
        inner = self.body.points(f"{path}{self.name}/")
        branches: dict[Value, tuple[Point, ...]] = {True: inner} if inner else {}
        return (Point(path + self.name, Categorical((False, True)), branches),)

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        if not emitter.params[path + self.name]:
            return None
        start = emitter.position
        emitted: str | None = emitter.emit(self.body, f"{path}{self.name}/", x)
        emitter.govern((path + self.name,), start)
        return emitted
