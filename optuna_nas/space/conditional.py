"""Attributes of a layer that exist only under some values of another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from optuna_nas.errors import SpaceError
from optuna_nas.space.decisions import Params, Point, Value
from optuna_nas.space.nodes import PLAIN, Emitter, Layer, Node, resolve, value_points


@dataclass(frozen=True)
class When(Node):
    """A value of an attribute that exists only while another attribute has one of some values.

    In ``layer("mlp", depth=Integer("depth", 1, 2), second=When("depth", [2], Integer("second", 8,
    64)))`` the attribute ``second`` is left out where the depth is 1. The other attribute is a
    decision between plain values, stands before this one and may itself be conditional.

    Args:
        attribute: The other attribute.
        values: Its values under which this one exists.
        body: A plain value or a decision.
    """

    attribute: str
    values: Any
    body: Any

    def __post_init__(self) -> None:
        if not isinstance(self.values, (list, tuple)) or not self.values:
            raise SpaceError(
                f"When {self.attribute!r}: values must be a list of at least one, got "
                f"{self.values!r}.",
                self.values,
            )
        object.__setattr__(self, "values", tuple(self.values))
        if isinstance(self.body, When) or not isinstance(self.body, (Node, *PLAIN)):
            raise SpaceError(
                f"When {self.attribute!r}: body must be a plain value or a decision, got "
                f"{self.body!r}; a condition on a condition needs only the nearer one.",
                self.body,
            )

    def points(self, path: str) -> tuple[Point, ...]:
        return value_points(self.body, path)

    def value(self, params: Params, path: str) -> Any:
        raise SpaceError(
            f"When {self.attribute!r}: a condition stands in an attribute of layer(...), not in a "
            "tuple or in a choice.",
            self,
        )


@dataclass(frozen=True)
class ConditionalLayer(Node):
    """A layer some of whose attributes are conditional; `layer` makes these.

    Args:
        op: The operation's name.
        attributes: Its attributes, in an order in which conditions are about earlier ones.

    Raises:
        SpaceError: A condition is not about values that an earlier decision can take.
    """

    op: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known: dict[str, tuple[Point, ...]] = {}
        for key, value in self.attributes.items():
            if isinstance(value, When):
                points = known.get(value.attribute, ())
                domain = points[0].domain if len(points) == 1 and not points[0].branches else None
                if domain is None or any(domain.normalise(v) is None for v in value.values):
                    raise SpaceError(
                        f"layer {self.op!r}: attribute {key!r} exists where {value.attribute!r} is "
                        f"one of {list(value.values)!r}, but no attribute before it is a decision "
                        "that takes these values.",
                        value,
                    )
            known[key] = value_points(value, "")

    def points(self, path: str) -> tuple[Point, ...]:
        return self._below(path, None, None)

    def _below(self, path: str, parent: str | None, value: Value | None) -> tuple[Point, ...]:
        """Decisions that exist under a value of ``parent``; those that always do for None."""
        points: tuple[Point, ...] = ()
        for key, node in self.attributes.items():
            conditional = isinstance(node, When)
            if node.attribute == parent and value in node.values if conditional else not parent:
                points += self._with_branches(path, key)
        return points

    def _with_branches(self, path: str, key: str) -> tuple[Point, ...]:
        points = value_points(self.attributes[key], path)
        readers = (n for n in self.attributes.values() if isinstance(n, When))
        values = {value: None for n in readers if n.attribute == key for value in n.values}
        if not values:
            return points
        (point,) = points
        branches = {value: self._below(path, key, value) for value in values}
        return (replace(point, branches={v: below for v, below in branches.items() if below}),)

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        found: dict[str, Any] = {}
        for key, node in self.attributes.items():
            if isinstance(node, When):
                if node.attribute not in found:
                    continue
                if resolve(found[node.attribute], emitter.params, path) not in node.values:
                    continue
            found[key] = node.body if isinstance(node, When) else node
        # One layer for each set of attributes: the builder knows layers by their identity.
        existing = self._layers.setdefault(tuple(found), Layer(self.op, found))
        return emitter.emit(existing, path, x)

    @cached_property
    def _layers(self) -> dict[tuple[str, ...], Layer]:
        return {}
