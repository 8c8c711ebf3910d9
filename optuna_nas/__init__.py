"""Neural architecture search as a guest of Optuna: spaces, samplers, profiling, reports."""

from optuna_nas import errors
from optuna_nas._version import __version__
from optuna_nas.errors import NASError
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.space import (
    Cell,
    CellStack,
    Chain,
    Channels,
    Choice,
    DagModule,
    Edge,
    Float,
    Genotype,
    Integer,
    Maybe,
    Parallel,
    Repeat,
    Scope,
    SearchSpace,
    Subset,
    Tied,
    When,
)

__all__ = [
    "ArchitectureGraph",
    "Cell",
    "CellStack",
    "Chain",
    "Channels",
    "Choice",
    "DagModule",
    "Edge",
    "Float",
    "Genotype",
    "Integer",
    "Maybe",
    "NASError",
    "Parallel",
    "Repeat",
    "Scope",
    "SearchSpace",
    "Subset",
    "Tied",
    "When",
    "__version__",
    "errors",
]
