"""Cells: graphs of nodes whose edges are decided, and stacks of cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from optuna_nas.errors import InfeasibleArchitectureError, SpaceError
from optuna_nas.space.decisions import Point
from optuna_nas.space.nodes import (
    ADDED,
    Emitter,
    Frame,
    Node,
    as_node,
    check_name,
    value_points,
)
from optuna_nas.space.structure import merged

OUTPUTS = ("last", "add", "concatenate", "unread")


@dataclass(frozen=True)
class Edge(Node):
    """An edge of a cell: reads a node through a body.

    Args:
        source: Position of what is read, or a decision on it: the cell's inputs come first, then
            its nodes.
        body: What is done to it.
        from_input: What is done to it instead where the source is an input of the cell, with the
            same decisions: strides, in a cell that reduces the resolution.
    """

    source: Any
    body: Any
    from_input: Any = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        object.__setattr__(self, "body", as_node(self.body))
        if self.from_input is None:
            return
        object.__setattr__(self, "from_input", as_node(self.from_input))
        if self.from_input.points("") != self.body.points(""):
            raise SpaceError(
                f"Edge from {self.source!r}: body and from_input must hold the same decisions.",
                self.from_input,
            )

    def points(self, path: str) -> tuple[Point, ...]:
        points: tuple[Point, ...] = self.body.points(path)
        return value_points(self.source, path) + points

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        cell = emitter.cell
        if cell is None:
            raise SpaceError(f"Edge at {path!r} stands outside of a Cell; put it into one.", self)
        source, names = emitter.resolve(self.source, path)
        if isinstance(source, bool) or not isinstance(source, int):
            raise SpaceError(f"Edge at {path!r}: source must be an int, got {source!r}.", source)
        if not 0 <= source < len(cell.sources):
            raise SpaceError(
                f"Edge at {path!r}: source {source} is not among the {len(cell.sources)} that come "
                "before it, the cell's inputs first.",
                source,
            )
        cell.read.add(source)
        start = emitter.position
        is_input = source < cell.inputs and self.from_input is not None
        body = self.from_input if is_input else self.body
        emitted: str | None = emitter.emit(body, path, cell.sources[source])
        if names:
            emitter.govern(names, start)
        return emitted


@dataclass(frozen=True)
class Cell(Node):
    """A directed acyclic graph of nodes, each made of edges from those before it.

    Args:
        name: The cell's decisions are named under ``name/``.
        nodes: One body a node, usually a `Parallel` or `Subset` of `Edge`; what is not an edge
            reads the cell's newest input.
        output: "last" node; all nodes merged by "add" or "concatenate"; or "unread", those nodes
            concatenated that no other node reads (Zoph et al. 2018).
        inputs: 1, or 2 in a `CellStack`: the outputs of the two cells before, the older one first.
        prepare: What is done to each input first, such as bringing it to the cell's channels.
        reduce: What is done instead to an older input whose resolution is not the newer one's.
    """

    name: str
    nodes: Any
    output: str = "last"
    inputs: int = field(default=1, metadata=ADDED)
    prepare: Any = field(default=None, metadata=ADDED)
    reduce: Any = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        check_name(self.name, "Cell")
        if self.output not in OUTPUTS:
            raise SpaceError(
                f"Cell {self.name!r}: output is one of {', '.join(OUTPUTS)}, got {self.output!r}.",
                self.output,
            )
        if self.inputs not in (1, 2):
            raise SpaceError(
                f"Cell {self.name!r}: inputs are 1 or 2, got {self.inputs!r}.", self.inputs
            )
        if isinstance(self.nodes, Node) or not self.nodes:
            raise SpaceError(
                f"Cell {self.name!r}: nodes are a list of at least one, got {self.nodes!r}.",
                self.nodes,
            )
        object.__setattr__(self, "nodes", tuple(as_node(node) for node in self.nodes))
        for key in ("prepare", "reduce"):
            if getattr(self, key) is not None:
                object.__setattr__(self, key, as_node(getattr(self, key)))

    def points(self, path: str) -> tuple[Point, ...]:
        path = f"{path}{self.name}/"
        bodies = [body for body in (self.prepare, self.reduce) if body is not None]
        return tuple(point for body in (*bodies, *self.nodes) for point in body.points(path))

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        path = f"{path}{self.name}/"
        inputs = [self._prepared(emitter, path, old, x) for old in self._read(emitter, path, x)]
        outer = emitter.cell, emitter.before
        cell = emitter.cell = Frame(inputs, len(inputs))
        emitter.before = None  # a cell inside of a node is not one of the stack's
        for position, node in enumerate(self.nodes):
            output = emitter.emit(node, path, inputs[-1])
            if output is None:
                raise InfeasibleArchitectureError(
                    f"Node {position + 1} of the cell at {path!r} has no edge left.", position + 1
                )
            cell.sources.append(output)
        emitter.cell, emitter.before = outer
        if self.inputs > 1:
            emitter.before = x
        return self._output(emitter, path, cell)

    def _read(self, emitter: Emitter, path: str, x: str) -> tuple[str, ...]:
        if self.inputs == 1:
            return (x,)
        if emitter.before is None:
            raise SpaceError(
                f"Cell at {path!r} has two inputs and stands outside of a CellStack; put it into "
                "one.",
                self,
            )
        return (emitter.before, x)

    def _prepared(self, emitter: Emitter, path: str, value: str, newest: str) -> str:
        shapes = emitter.builder.shapes
        larger = shapes[value][:-1] != shapes[newest][:-1]
        body = self.reduce if larger and self.reduce is not None else self.prepare
        return value if body is None else emitter.emit(body, path, value) or value

    def _output(self, emitter: Emitter, path: str, cell: Frame) -> str:
        if self.output == "last":
            return cell.sources[-1]
        nodes = list(range(cell.inputs, len(cell.sources)))
        merge = self.output
        if merge == "unread":
            merge, nodes = "concatenate", [node for node in nodes if node not in cell.read]
        return merged(emitter, path, merge, [cell.sources[node] for node in nodes])


@dataclass(frozen=True)
class CellStack(Node):
    """Cells one after another, each reading the outputs of the two before it.

    In the body, every `Cell` with ``inputs=2`` reads what comes in and, as its older input, what
    came in to such a cell before it; the first one reads the stack's input twice.
    """

    body: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "body", as_node(self.body))

    def points(self, path: str) -> tuple[Point, ...]:
        points: tuple[Point, ...] = self.body.points(path)
        return points

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        outer, emitter.before = emitter.before, x
        emitted: str | None = emitter.emit(self.body, path, x)
        emitter.before = outer
        return emitted
