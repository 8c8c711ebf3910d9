"""Layers that depend on the shapes that come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna_nas.space.decisions import Point
from optuna_nas.space.nodes import Emitter, Node, as_node, value_points


@dataclass(frozen=True)
class Shortcut(Node):
    """``x + body(x)``; where the shapes differ ``projection(x) + body(x)``, or ``body(x)`` alone.

    Args:
        body: Layers.
        projection: Layers that bring ``x`` to the shape of ``body(x)`` (He et al. 2016, option B).
            None leaves the shortcut out where the shapes differ (Sandler et al. 2018).
    """

    body: Any
    projection: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "body", as_node(self.body))
        if self.projection is not None:
            object.__setattr__(self, "projection", as_node(self.projection))

    def points(self, path: str) -> tuple[Point, ...]:
        points: tuple[Point, ...] = self.body.points(path)
        return points if self.projection is None else points + self.projection.points(path)

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        output: str = emitter.emit(self.body, path, x) or x
        shapes = emitter.builder.shapes
        if shapes[output] != shapes[x]:
            if self.projection is None:
                return output
            x = emitter.emit(self.projection, path, x) or x
        return emitter.builder.add("add", {}, [x, output], name=f"{path}add", key="add")


@dataclass(frozen=True)
class WithChannels(Node):
    """A body, such as a 1x1 convolution, that is left out where its channels come in already.

    Args:
        filters: The number of channels, or a decision on it.
        body: Layers that give so many.
    """

    filters: Any
    body: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "body", as_node(self.body))

    def points(self, path: str) -> tuple[Point, ...]:
        return value_points(self.filters, path) + tuple(self.body.points(path))

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        filters, _ = emitter.resolve(self.filters, path)
        if emitter.channels(x) == filters:
            return x
        emitted: str | None = emitter.emit(self.body, path, x)
        return emitted
