"""All architectures of a space in one graph, for a supernet to share weights among them."""

from optuna_nas.supergraph.builder import TAKE
from optuna_nas.supergraph.structure import (
    Alternatives,
    Block,
    Branch,
    Gates,
    Mixture,
    Place,
    Role,
    SuperLayer,
    Width,
    roles,
)
from optuna_nas.supergraph.supergraph import SuperGraph, chosen

__all__ = [
    "TAKE",
    "Alternatives",
    "Block",
    "Branch",
    "Gates",
    "Mixture",
    "Place",
    "Role",
    "SuperGraph",
    "SuperLayer",
    "Width",
    "chosen",
    "roles",
]
