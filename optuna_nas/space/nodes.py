"""The primitives a space is declared with.

Every node answers two questions in the same words: which decisions it holds (`Node.points`) and
which layers it stands for once they are taken (`Node.emit`). A decision's name is its path: the
prefixes of the repetitions, scopes and branches it lives in, then its own name. The branch is part
of the path because Keras Tuner knows a name only once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Union

from optuna_nas.errors import SpaceError
from optuna_nas.graph import GraphBuilder
from optuna_nas.space.decisions import Params, Point, Value

# Marks a node's field that came later: its default is left out of the JSON, so that spaces that do
# without it keep their fingerprints.
ADDED = {"added": True}


class Node(ABC):
    """Part of a declared space."""

    @abstractmethod
    def points(self, path: str) -> tuple[Point, ...]:
        """Decisions of this node when it stands under ``path`` (empty, or ending in a slash)."""

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        """Append this node's layers to ``x``; return the last, or None where it is left out."""
        raise SpaceError(
            f"{type(self).__name__} at {path!r} gives a value, not layers; put it into an "
            "attribute of a layer.",
            self,
        )

    def value(self, params: Params, path: str) -> Any:
        """The value chosen, for a node that stands in an attribute of a layer."""
        raise SpaceError(
            f"{type(self).__name__} at {path!r} gives layers, not a value; it can't stand in an "
            "attribute of a layer.",
            self,
        )


PLAIN = (bool, int, float, str)  # not NumPy's: hosts and JSON refuse them

Body = Union[Node, Sequence["Node | Sequence[Any]"]]


class Decisions(dict[str, Value]):
    """Decisions taken, which note in ``read`` each name that is looked up."""

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self.read: list[str] = []

    def __getitem__(self, name: str) -> Value:
        self.read.append(name)
        return super().__getitem__(name)


@dataclass
class Frame:
    """The cell whose nodes are being emitted.

    Args:
        sources: What its edges may read: its inputs, then its nodes so far.
        inputs: How many of them are inputs.
        read: Positions of the sources that were read.
    """

    sources: list[str]
    inputs: int
    read: set[int] = field(default_factory=set)


@dataclass
class Emitter:
    """Where layers go while decisions are read.

    Args:
        builder: Collects the layers.
        params: The decisions.
        cell: The cell that is being emitted; None outside of cells.
        before: What the cell before read last, in a stack of cells; None outside of stacks.
        governed: For each decision, the layers it has a say in: positions of the first and behind
            the last among the builder's.
    """

    builder: GraphBuilder
    params: Decisions
    cell: Frame | None = None
    before: str | None = None
    governed: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def emit(self, node: Node, path: str, x: str) -> str | None:
        """Emit a node; every node emits its parts through this."""
        return node.emit(self, path, x)

    def channels(self, x: str) -> int:
        return self.builder.shapes[x][-1]

    @property
    def position(self) -> int:
        """Where the next layer will stand among the builder's."""
        return len(self.builder.layers)

    def resolve(self, value: Any, path: str) -> tuple[Any, Sequence[str]]:
        """The value of an attribute, and the names of the decisions that it rests on."""
        if type(value) in PLAIN:
            return value, ()
        start = len(self.params.read)
        return resolve(value, self.params, path), self.params.read[start:]

    def govern(self, names: Sequence[str], start: int) -> None:
        """Note that decisions have a say in the layers since ``start``.

        Where there are none, what they decided on shows in the last layer before.
        """
        end = len(self.builder.layers)
        for name in names:
            self.governed.setdefault(name, []).append((min(start, end - 1), end))


def check_name(name: object, kind: str) -> None:
    """A name is a non-empty string without the characters paths and JSON's marks are made of."""
    if not isinstance(name, str) or not name or set(name) & set("/=$"):
        raise SpaceError(
            f"{kind}: a name is a non-empty string without '/', '=' and '$', got {name!r}.", name
        )


def as_node(body: Any) -> Node:
    """A sequence is a chain; a node is itself."""
    if isinstance(body, Node):
        return body
    if isinstance(body, (list, tuple)):
        return Chain(tuple(as_node(part) for part in body))
    raise SpaceError(
        f"Expected a layer, a choice or a list of them, got {body!r} of type "
        f"{type(body).__name__}.",
        body,
    )


def is_value(value: Any) -> bool:
    """Whether something may stand in an attribute: a plain value, a node, or a tuple of these."""
    if isinstance(value, tuple):
        return all(map(is_value, value))
    return isinstance(value, Node) or type(value) in PLAIN


def _holds_node(value: Any) -> bool:
    return any(map(_holds_node, value)) if isinstance(value, tuple) else isinstance(value, Node)


def value_points(value: Any, path: str) -> tuple[Point, ...]:
    """Decisions in an attribute of a layer."""
    if isinstance(value, tuple):
        return tuple(point for item in value for point in value_points(item, path))
    return value.points(path) if isinstance(value, Node) else ()


def resolve(value: Any, params: Params, path: str) -> Any:
    """The value of an attribute once decisions are taken."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, tuple):
        return tuple(resolve(item, params, path) for item in value)
    return value.value(params, path) if isinstance(value, Node) else value


@dataclass(frozen=True)
class Chain(Node):
    """Nodes one after another; a list stands for it."""

    parts: tuple[Node, ...]

    def points(self, path: str) -> tuple[Point, ...]:
        return tuple(point for part in self.parts for point in part.points(path))

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        for part in self.parts:
            # What is left out of a chain lets its input pass.
            x = emitter.emit(part, path, x) or x
        return x


def multiple(channels: float, divisor: int) -> int:
    """Channels rounded to a multiple of ``divisor``, where that is above 1 at least 90 % of them.

    So do the published MobileNets (Sandler et al. 2018), for the sake of processors.
    """
    if divisor == 1:
        return max(1, round(channels))
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


@dataclass(frozen=True)
class Channels(Node):
    """The number of channels that come in, times ``factor``: a value for ``filters``.

    Args:
        factor: A number, or a decision on it.
        divisor: The product is rounded to a multiple of this; to one not below 90 % of it where
            this is above 1.
    """

    factor: Any = 1
    divisor: int = field(default=1, metadata=ADDED)

    def points(self, path: str) -> tuple[Point, ...]:
        return value_points(self.factor, path)

    def value(self, params: Params, path: str) -> Any:
        # How many channels come in is known to the layer.
        factor = resolve(self.factor, params, path)
        return self if factor is self.factor else Channels(factor, self.divisor)

    def of(self, channels: int) -> int:
        """How many these are where ``channels`` come in."""
        return multiple(channels * self.factor, self.divisor)


@dataclass(frozen=True)
class Layer(Node):
    """A layer: an operation and its attributes, each a plain value or a decision."""

    op: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def points(self, path: str) -> tuple[Point, ...]:
        return tuple(p for value in self.attributes.values() for p in value_points(value, path))

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        attributes: Mapping[str, Any] = self.attributes
        names: Sequence[str] = ()
        key: object = id(self)
        if self._open:
            values, names = emitter.resolve(tuple(attributes.values()), path)
            channels = emitter.channels(x)
            attributes = {
                k: v.of(channels) if isinstance(v, Channels) else v
                for k, v in zip(attributes, values, strict=True)
            }
            key = (id(self), repr(attributes))  # 1, 1.0 and True differ
        added = emitter.builder.add(self.op, attributes, (x,), name=f"{path}{self.op}", key=key)
        if names:
            emitter.govern(names, emitter.position - 1)
        return added

    @cached_property
    def _open(self) -> bool:
        """Whether attributes are known only once decisions are taken."""
        return any(_holds_node(value) for value in self.attributes.values())


@dataclass(frozen=True)
class Scope(Node):
    """A body whose decisions are named under ``name/``."""

    name: str
    body: Any

    def __post_init__(self) -> None:
        check_name(self.name, "Scope")
        object.__setattr__(self, "body", as_node(self.body))

    def points(self, path: str) -> tuple[Point, ...]:
        points: tuple[Point, ...] = self.body.points(f"{path}{self.name}/")
        return points

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        emitted: str | None = emitter.emit(self.body, f"{path}{self.name}/", x)
        return emitted

    def value(self, params: Params, path: str) -> Any:
        return self.body.value(params, f"{path}{self.name}/")


@dataclass(frozen=True)
class Tied(Node):
    """Decisions taken once and shared by every place that holds the same `Tied` node.

    They are named from the root, wherever they stand.
    """

    body: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "body", as_node(self.body))

    def points(self, path: str) -> tuple[Point, ...]:
        return tuple(_tie(point) for point in self.body.points(""))

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        emitted: str | None = emitter.emit(self.body, "", x)
        return emitted

    def value(self, params: Params, path: str) -> Any:
        return self.body.value(params, "")


def _tie(point: Point) -> Point:
    return replace(point, tied=True)
