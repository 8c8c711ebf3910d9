"""Declared nodes to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from optuna_nas.errors import SpaceError
from optuna_nas.space import (
    cells,
    choices,
    conditional,
    dag,
    given,
    nodes,
    shortcuts,
    squeeze_excite,
    structure,
    widths,
)

_KIND = "$node"
_TUPLE = "$tuple"
_SAME = "$same"
_KINDS: dict[str, type[nodes.Node]] = {
    kind.__name__: kind
    for kind in (
        cells.Cell,
        cells.CellStack,
        nodes.Chain,
        nodes.Channels,
        choices.Choice,
        conditional.ConditionalLayer,
        dag.DagModule,
        cells.Edge,
        choices.Float,
        given.Given,
        choices.Integer,
        nodes.Layer,
        given.Let,
        choices.Maybe,
        structure.Parallel,
        structure.Repeat,
        widths.Scaled,
        nodes.Scope,
        shortcuts.Shortcut,
        squeeze_excite.SqueezeExcite,
        structure.Subset,
        nodes.Tied,
        conditional.When,
        shortcuts.WithChannels,
    )
}


def to_state(value: Any) -> Any:
    """JSON-able state of a node and all it holds."""
    if isinstance(value, nodes.Node):
        state = {
            f.name: to_state(getattr(value, f.name))
            for f in fields(value)  # type: ignore[arg-type]
            if not (f.metadata == nodes.ADDED and getattr(value, f.name) == f.default)
        }
        return {_KIND: type(value).__name__, **state}
    if isinstance(value, Mapping):
        return {key: to_state(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {_TUPLE: [to_state(item) for item in value]}
    if isinstance(value, list):
        return [to_state(item) for item in value]
    return value


def shared(state: Any) -> tuple[Any, list[Any]]:
    """A state whose nodes are numbers in a list where each stands once, its parts before it.

    Spaces repeat cells, and cells operations: written out, a large one takes a megabyte.
    """
    nodes: list[Any] = []
    known: dict[str, int] = {}

    def visit(value: Any) -> Any:
        if isinstance(value, list):
            return [visit(item) for item in value]
        if not isinstance(value, dict):
            return value
        parts = {key: visit(item) for key, item in value.items()}
        if _KIND not in parts:
            return parts
        number = known.setdefault(json.dumps(parts), len(nodes))
        if number == len(nodes):
            nodes.append(parts)
        return {_SAME: number}

    return visit(state), nodes


def from_state(state: Any, nodes: Sequence[Any] = ()) -> Any:
    """The node that `to_state` described, or `shared`, whose numbers stand for ``nodes``.

    Raises:
        SpaceError: The state names an unknown kind of node.
    """
    if isinstance(state, dict) and _SAME in state:
        return nodes[state[_SAME]]
    if isinstance(state, dict) and _TUPLE in state:
        return tuple(from_state(item, nodes) for item in state[_TUPLE])
    if isinstance(state, dict) and _KIND in state:
        if state[_KIND] not in _KINDS:
            raise SpaceError(
                f"Unknown node {state[_KIND]!r} in the JSON of a space; was it written by a newer "
                "version?",
                state[_KIND],
            )
        arguments = {key: from_state(item, nodes) for key, item in state.items() if key != _KIND}
        return _KINDS[state[_KIND]](**arguments)
    if isinstance(state, list):
        return [from_state(item, nodes) for item in state]
    if isinstance(state, dict):
        return {key: from_state(item, nodes) for key, item in state.items()}
    return state
