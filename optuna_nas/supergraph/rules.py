"""Nodes that know better than to be emitted once for each value of a decision that they read."""

from __future__ import annotations

from collections.abc import Mapping

from optuna_nas.errors import SupernetError
from optuna_nas.space.cells import Cell, Edge
from optuna_nas.space.dag import DagModule
from optuna_nas.space.nodes import Chain, Layer, Node
from optuna_nas.space.shortcuts import Shortcut, WithChannels
from optuna_nas.space.squeeze_excite import SqueezeExcite
from optuna_nas.space.structure import Parallel, Repeat, Subset, merged, projected
from optuna_nas.supergraph.builder import Undecided
from optuna_nas.supergraph.emission import Rule, SuperEmitter
from optuna_nas.supergraph.layers import emit_layer, emit_squeeze_excite
from optuna_nas.supergraph.structure import Block, Branch
from optuna_nas.supergraph.widths import joined


def _within(merge: str | None) -> Rule:
    def rule(emitter: SuperEmitter, node: Node, path: str, x: str) -> str | None:
        with emitter.merged_by(merge):
            return node.emit(emitter, path, x)

    return rule


def _repeat(emitter: SuperEmitter, node: Repeat, path: str, x: str) -> str | None:
    """Copies go on from one another; the mixture is of where to stop."""
    prefix = f"{path}{node.name}/"
    name = f"{prefix}depth"
    with emitter.merged_by(None):
        if node.low == node.high or dict.__contains__(emitter.params, name):
            return node.emit(emitter, path, x)
        emitter.alternatives(name)
        for i in range(node.low):
            x = emitter.emit(node.body, f"{prefix}{i}/", x) or x
        return _deeper(emitter, node, prefix, x, node.low)


def _deeper(emitter: SuperEmitter, node: Repeat, prefix: str, x: str, done: int) -> str:
    """What comes of ``x``, behind so many copies."""
    if done == node.high:
        return x
    with emitter.builder.block() as items:
        deeper = emitter.emit(node.body, f"{prefix}{done}/", x) or x
        deeper = _deeper(emitter, node, prefix, deeper, done + 1)
    further = tuple(range(done + 1 - node.low, node.high + 1 - node.low))
    branches = [
        Branch((done - node.low,), Block((), x)),
        Branch(further, Block(tuple(items), deeper), weighted=len(further) == 1),
    ]
    return emitter.mixture(f"{prefix}depth", prefix, x, branches, "depth")


def _subset(emitter: SuperEmitter, node: Subset, path: str, x: str) -> str | None:
    """Branches that are added have gates of their own; others are chosen together."""
    name = f"{path}{node.name}"
    if node.merge != "add" or dict.__contains__(emitter.params, name):
        merge, _ = emitter.resolve(node.merge, path)
        with emitter.merged_by(merge):
            return node.emit(emitter, path, x)
    emitter.alternatives(name, tuple(node.options))
    branches = []
    for position, (key, body) in enumerate(node.options.items()):
        with emitter.merged_by("add"), emitter.builder.block() as items:
            output = emitter.emit(body, f"{name}/{key}/", x)
        if output is None:
            raise SupernetError(f"The branch {key!r} of {name!r} adds nothing.", name)
        branches.append(Branch((position,), Block(tuple(items), output)))
    with emitter.merged_by("add"):
        return emitter.mixture(name, path, x, branches, "sum")


def _parallel(emitter: SuperEmitter, node: Parallel, path: str, x: str) -> str | None:
    merge, _ = emitter.resolve(node.merge, path)
    with emitter.merged_by(merge):
        if not node.project:
            return node.emit(emitter, path, x)
        emitted = [emitter.emit(branch, path, x) for branch in node.branches]
    outputs = [output for output in emitted if output is not None]
    if any(_differ(emitter, outputs[0], output) for output in outputs[1:]):
        outputs = projected(emitter, path, [emitter.builder.used(output) for output in outputs])
    return merged(emitter, path, merge, outputs) if outputs else None


def _shortcut(emitter: SuperEmitter, node: Shortcut, path: str, x: str) -> str | None:
    with emitter.merged_by(None):
        output = emitter.emit(node.body, path, x) or x
        if _differ(emitter, output, x):
            if node.projection is None:
                return output
            x = emitter.emit(node.projection, path, x) or x
    return emitter.builder.add("add", {}, [x, output], name=f"{path}add")


def _differ(emitter: SuperEmitter, a: str, b: str) -> bool:
    """Whether two values differ in shape; a decision is called for where only some do."""
    shapes = emitter.builder.shapes
    if shapes[a][:-1] != shapes[b][:-1]:
        return True
    rows = joined([emitter.builder.table(a), emitter.builder.table(b)])
    found = {int(first.sum()) != int(second.sum()) for _, (first, second) in rows}
    if len(found) > 1:
        raise Undecided(next(name for condition, _ in rows for name, _ in condition))
    return found.pop()


def _edge(emitter: SuperEmitter, node: Edge, path: str, x: str) -> str | None:
    emitter.open_sources |= isinstance(node.source, Node)
    return node.emit(emitter, path, x)


def _cell(emitter: SuperEmitter, node: Cell, path: str, x: str) -> str | None:
    around, emitter.open_sources = emitter.open_sources, False
    emitter.builder.decided += 1
    try:
        with emitter.merged_by(None):
            output = node.emit(emitter, path, x)
    finally:
        emitter.builder.decided -= 1
    if emitter.open_sources and node.output == "unread":
        raise SupernetError(
            f"The cell {path + node.name!r} gives those of its nodes that no other one reads, and "
            "which these are is decided; its value would have no fixed channels. Let it give all "
            "nodes.",
            node,
        )
    emitter.open_sources = around
    return output


def _dag(emitter: SuperEmitter, node: DagModule, path: str, x: str) -> str | None:
    raise SupernetError(
        f"The module {path + node.name!r} is any graph of its vertices: their order and their "
        "channels rest on all of its edges together, so that there is no place to share weights "
        "at. Use a Cell of Edges.",
        node,
    )


RULES: Mapping[type[Node], Rule] = {
    Cell: _cell,
    Chain: _within(None),
    DagModule: _dag,
    Edge: _edge,
    Layer: emit_layer,
    Parallel: _parallel,
    Repeat: _repeat,
    Shortcut: _shortcut,
    SqueezeExcite: emit_squeeze_excite,
    Subset: _subset,
    WithChannels: _within(None),
}
