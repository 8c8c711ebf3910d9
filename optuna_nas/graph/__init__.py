"""What a genotype means: a framework-free graph of layers with shapes, costs and an identity."""

from optuna_nas.graph import attention as attention  # registers operations
from optuna_nas.graph import sequences as sequences
from optuna_nas.graph import slicing as slicing
from optuna_nas.graph import standard as standard
from optuna_nas.graph.architecture import ArchitectureGraph, LayerSpec
from optuna_nas.graph.builder import GraphBuilder, LayerTemplates
from optuna_nas.graph.operations import (
    Operation,
    Shape,
    get_operation,
    operation_names,
    register_operation,
)

__all__ = [
    "ArchitectureGraph",
    "GraphBuilder",
    "LayerSpec",
    "LayerTemplates",
    "Operation",
    "Shape",
    "get_operation",
    "operation_names",
    "register_operation",
]
