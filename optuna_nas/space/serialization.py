"""Declared nodes to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from optuna_nas.errors import SpaceError
from optuna_nas.space import choices, nodes, structure

_KIND = "$node"
_TUPLE = "$tuple"
_KINDS: dict[str, type[nodes.Node]] = {
    kind.__name__: kind
    for kind in (
        structure.Cell,
        nodes.Chain,
        nodes.Channels,
        choices.Choice,
        structure.Edge,
        choices.Float,
        choices.Integer,
        nodes.Layer,
        choices.Maybe,
        structure.Parallel,
        structure.Repeat,
        nodes.Scope,
        structure.Subset,
        nodes.Tied,
    )
}


def to_state(value: Any) -> Any:
    """JSON-able state of a node and all it holds."""
    if isinstance(value, nodes.Node):
        state = {f.name: to_state(getattr(value, f.name)) for f in fields(value)}  # type: ignore[arg-type]
        return {_KIND: type(value).__name__, **state}
    if isinstance(value, Mapping):
        return {key: to_state(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {_TUPLE: [to_state(item) for item in value]}
    if isinstance(value, list):
        return [to_state(item) for item in value]
    return value


def from_state(state: Any) -> Any:
    """The node that `to_state` described.

    Raises:
        SpaceError: The state names an unknown kind of node.
    """
    if isinstance(state, dict) and _TUPLE in state:
        return tuple(from_state(item) for item in state[_TUPLE])
    if isinstance(state, dict) and _KIND in state:
        if state[_KIND] not in _KINDS:
            raise SpaceError(
                f"Unknown node {state[_KIND]!r} in the JSON of a space; was it written by a newer "
                "version?",
                state[_KIND],
            )
        arguments = {key: from_state(item) for key, item in state.items() if key != _KIND}
        return _KINDS[state[_KIND]](**arguments)
    if isinstance(state, list):
        return [from_state(item) for item in state]
    if isinstance(state, dict):
        return {key: from_state(item) for key, item in state.items()}
    return state
