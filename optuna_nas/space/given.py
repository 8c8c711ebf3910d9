"""Decisions taken once for all that stands in one place: a stage, a block, a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna_nas.errors import SpaceError
from optuna_nas.space.decisions import Params, Point, Value
from optuna_nas.space.nodes import Emitter, Node, as_node


@dataclass(frozen=True)
class Let(Node):
    """Takes a decision, for `Given` to read; it adds no layers.

    Args:
        decision: A `Choice` of plain values, an `Integer` or a `Float`.
    """

    decision: Node

    def points(self, path: str) -> tuple[Point, ...]:
        return self.decision.points(path)

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        return None


@dataclass(frozen=True)
class Given(Node):
    """What a `Let` decided: the value itself, or the layers that stand for it.

    The `Let` is looked for among those in the same place and in the places around it: one in a
    stage holds for its blocks, one in a network for its stages. Unlike `Tied`, this still holds
    when the network becomes a part of another.

    Args:
        name: Name of the decision.
        options: Layers for each value of the decision, written as text; they hold no decisions.
    """

    name: str
    options: Any = None

    def __post_init__(self) -> None:
        if self.options is None:
            return
        if not isinstance(self.options, Mapping):
            raise SpaceError(
                f"Given {self.name!r}: options are a dict of layers, got {self.options!r}.",
                self.options,
            )
        parts = {str(key): as_node(body) for key, body in self.options.items()}
        if any(body.points("") for body in parts.values()):
            raise SpaceError(
                f"Given {self.name!r}: options hold no decisions of their own; take these with Let "
                "before, and read them with Given.",
                self.options,
            )
        object.__setattr__(self, "options", parts)

    def points(self, path: str) -> tuple[Point, ...]:
        return ()

    def value(self, params: Params, path: str) -> Any:
        return params[self._place(params, path)]

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        name = self._place(emitter.params, path)
        value: Value = emitter.params[name]
        if self.options is None or str(value) not in self.options:
            raise SpaceError(
                f"Given {self.name!r} at {path!r} has no layers for {value!r}; name them in its "
                "options.",
                value,
            )
        start = emitter.position
        emitted: str | None = emitter.emit(self.options[str(value)], path, x)
        emitter.govern((name,), start)
        return emitted

    def _place(self, params: Params, path: str) -> str:
        """Name of the nearest decision, from ``path`` outwards."""
        around = path
        while f"{around}{self.name}" not in params:
            if not around:
                raise SpaceError(
                    f"Given {self.name!r} at {path!r}: no Let before it, here or around it, takes "
                    "that decision.",
                    self.name,
                )
            around = around[: around[:-1].rfind("/") + 1]
        return f"{around}{self.name}"
