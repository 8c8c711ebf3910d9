"""Decisions: alternatives, numbers, and what may be left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna_nas.errors import SpaceError
from optuna_nas.space.decisions import Categorical, FloatRange, IntegerRange, Params, Point, Value
from optuna_nas.space.nodes import Emitter, Node, as_node, check_name, resolve, value_points

_SCALARS = (bool, int, float, str)


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
        if not self.options:
            raise SpaceError(f"Choice {self.name!r}: options are empty; give at least one.")
        if isinstance(self.options, Mapping):
            for key in self.options:
                check_name(key, f"Choice {self.name!r}")
            parts = {
                key: as_node(v) if isinstance(v, (Node, list)) else v
                for key, v in self.options.items()
            }
            object.__setattr__(self, "options", parts)
            return
        values = tuple(self.options)
        kinds = {type(value) for value in values}
        if len(kinds) != 1 or not kinds <= set(_SCALARS):
            raise SpaceError(
                f"Choice {self.name!r}: options must be plain values of one type (bool, int, float "
                f"or str), got {list(values)!r}; name other alternatives in a dict.",
                values,
            )
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
        option = self.options[key] if isinstance(self.options, Mapping) else key
        if not isinstance(option, Node):
            raise SpaceError(
                f"Choice {path + self.name!r} gives the value {option!r}, not layers; put it into "
                "an attribute of a layer.",
                option,
            )
        return option.emit(emitter, self._branch(path, key), x)

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
        if not float("-inf") < self.low <= self.high < float("inf"):
            raise SpaceError(
                f"Float {self.name!r}: expected finite low <= high, got {self.low}, {self.high}."
            )
        if self.log and (self.low <= 0 or self.step is not None):
            raise SpaceError(f"Float {self.name!r}: log needs low > 0 and no step.", self.low)
        if self.step is not None and self.step <= 0:
            raise SpaceError(f"Float {self.name!r}: step must be positive, got {self.step}.")

    def points(self, path: str) -> tuple[Point, ...]:
        low, high = float(self.low), float(self.high)
        return (Point(path + self.name, FloatRange(low, high, self.step, self.log)),)

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
        emitted: str | None = self.body.emit(emitter, f"{path}{self.name}/", x)
        return emitted
