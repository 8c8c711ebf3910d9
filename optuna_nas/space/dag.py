"""`DagModule`: a module that is any small directed acyclic graph of operations.

Vertices that are not on a path from input to output do nothing and are left out, and what is left
is built in one order of its vertices, whichever order the decisions have, so that isomorphic
modules are the same network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from optuna_nas.errors import InfeasibleArchitectureError, SpaceError
from optuna_nas.space.choices import Choice
from optuna_nas.space.decisions import Categorical, Point
from optuna_nas.space.nodes import Emitter, Node, check_name
from optuna_nas.space.structure import merged

Edges = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class DagModule(Node):
    """Any directed acyclic graph of operations between an input and an output (Ying et al. 2019).

    An edge from vertex ``u`` to ``v`` is the decision ``name/u->v``, and the operation of an inner
    vertex the decision ``name/operation<v>``. What a vertex reads is added up; what the output
    reads is concatenated, so that the vertices before it share its channels. The module's input is
    brought to the channels of each vertex that reads it by a 1x1 convolution of its own, and added
    to the output's concatenation. A vertex with more channels than its reader gives the first.

    Args:
        name: The module's decisions are named under ``name/``.
        operations: Bodies by name that keep the number of channels.
        channels: Channels of the output.
        vertices: Number of vertices, input and output included.
        max_edges: A module with more edges is infeasible, as is one without a path from input to
            output; edges that are not on such a path don't count.
    """

    name: str
    operations: Mapping[str, Any]
    channels: int
    vertices: int = 7
    max_edges: int = 9

    def __post_init__(self) -> None:
        check_name(self.name, "DagModule")
        if self.vertices < 2 or self.channels < self.vertices:
            raise SpaceError(
                f"DagModule {self.name!r}: expected at least 2 vertices and as many channels as "
                f"vertices, got vertices={self.vertices}, channels={self.channels}.",
                (self.vertices, self.channels),
            )
        object.__setattr__(self, "operations", self._choice(1).options)

    def _choice(self, vertex: int) -> Choice:
        return Choice(f"operation{vertex}", self.operations)

    def _pairs(self) -> list[tuple[int, int]]:
        return [(u, v) for v in range(1, self.vertices) for u in range(v)]

    def points(self, path: str) -> tuple[Point, ...]:
        path = f"{path}{self.name}/"
        points: list[Point] = []
        for u, v in self._pairs():
            # The first values of all decisions, which hosts begin with, make a chain.
            present = (True, False) if u == v - 1 else (False, True)
            points.append(Point(f"{path}{u}->{v}", Categorical(present)))
            if u == v - 1 and v < self.vertices - 1:
                points.extend(self._choice(v).points(path))
        return tuple(points)

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        path = f"{path}{self.name}/"
        order, edges = self._decided(emitter, path)
        last = len(order) - 1
        widths = vertex_channels(edges, len(order), self.channels)
        values = [x]
        for position in range(1, last + 1):
            start = emitter.position
            sources = sorted(u for u, v in edges if v == position)
            read = [values[u] for u in sources if u > 0]
            if position == last:
                read = [merged(emitter, path, "concatenate", read)] if read else []
            else:
                read = [_truncated(emitter, path, value, widths[position]) for value in read]
            if 0 in sources:
                read.append(_projected(emitter, path, x, widths[position]))
            value = merged(emitter, path, "add", read)
            if position < last:
                value = emitter.emit(self._choice(order[position]), path, value) or value
            values.append(value)
            emitter.govern([f"{path}{order[u]}->{order[position]}" for u in sources], start)
        return values[-1]

    def _decided(self, emitter: Emitter, path: str) -> tuple[tuple[int, ...], Edges]:
        """Vertices on a path from input to output, in their order, and edges between its places."""
        edges = frozenset((u, v) for u, v in self._pairs() if emitter.params[f"{path}{u}->{v}"])
        names = list(self.operations)
        chosen = (emitter.params[f"{path}operation{v}"] for v in range(1, self.vertices - 1))
        order = canonical_order(edges, tuple(names.index(str(name)) for name in chosen))
        if not order:
            raise InfeasibleArchitectureError(
                f"The module at {path!r} has no path from its input to its output.", sorted(edges)
            )
        place = {vertex: position for position, vertex in enumerate(order)}
        edges = frozenset((place[u], place[v]) for u, v in edges if u in place and v in place)
        if len(edges) > self.max_edges:
            raise InfeasibleArchitectureError(
                f"The module at {path!r} has {len(edges)} edges, over the limit of "
                f"{self.max_edges}.",
                len(edges),
            )
        return order, edges


def _truncated(emitter: Emitter, path: str, value: str, channels: int) -> str:
    if emitter.channels(value) == channels:
        return value
    attributes = {"channels": channels}
    return emitter.builder.add("slice_channels", attributes, [value], name=f"{path}truncate")


def _projected(emitter: Emitter, path: str, value: str, channels: int) -> str:
    for op, attributes in (
        ("conv2d", {"filters": channels, "kernel_size": 1}),
        ("batch_normalization", {}),
        ("activation", {"function": "relu"}),
    ):
        value = emitter.builder.add(op, attributes, [value], name=f"{path}project_{op}")
    return value


def vertex_channels(edges: Edges, vertices: int, channels: int) -> list[int]:
    """Channels of each vertex; those that the output reads share its channels.

    Where these can't be shared evenly, the first vertices have one more. Other vertices have as
    many as the largest that reads them; the input's place holds 0.
    """
    last = vertices - 1
    widths = [0] * last + [channels]
    shared = [v for v in range(1, last) if (v, last) in edges]
    for rank, vertex in enumerate(shared):
        widths[vertex] = channels // len(shared) + (rank < channels % len(shared))
    for v in range(last - 1, 0, -1):
        if v not in shared:
            widths[v] = max(widths[w] for u, w in edges if u == v)
    return widths


@lru_cache(maxsize=4096)
def canonical_order(edges: Edges, labels: tuple[int, ...]) -> tuple[int, ...]:
    """Vertices on a path from the first to the last, in an order that isomorphic graphs share.

    Of all topological orders it is the one whose adjacency matrix, read as a number (an edge from
    ``u`` to ``v`` is the bit ``u + v (v - 1) / 2``), and whose labels after that, are the smallest.
    The enumeration by which Ying et al. (2019) found the cells they trained meets it first.

    Args:
        edges: Pairs ``(u, v)`` with ``u < v``.
        labels: Of the inner vertices.

    Returns:
        The vertices, none where no path leads through.
    """
    last = len(labels) + 1
    forward, backward = {0}, {last}
    for v in range(1, last + 1):
        if any((u, v) in edges for u in forward):
            forward.add(v)
    for v in range(last - 1, -1, -1):
        if any((v, w) in edges for w in backward):
            backward.add(v)
    kept = forward & backward
    if last not in kept:
        return ()
    sources = {v: [u for u in kept if (u, v) in edges] for v in kept}

    def key(order: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        place = {vertex: position for position, vertex in enumerate(order)}
        bits = sum(
            1 << (place[u] + place[v] * (place[v] - 1) // 2) for v in order for u in sources[v]
        )
        return bits, tuple(labels[v - 1] for v in order[1:-1])

    return min(_orders((0,), kept - {0}, sources), key=key)


def _orders(
    begun: tuple[int, ...], left: set[int], sources: Mapping[int, Sequence[int]]
) -> Iterator[tuple[int, ...]]:
    """Every topological order that begins as given."""
    if not left:
        yield begun
    for vertex in sorted(left):
        if all(u in begun for u in sources[vertex]):
            yield from _orders((*begun, vertex), left - {vertex}, sources)
