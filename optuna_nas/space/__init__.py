"""What may be chosen: the primitives of a search space, the space, and genotypes."""

from optuna_nas.space.cells import Cell, CellStack, Edge
from optuna_nas.space.choices import Choice, Float, Integer, Maybe
from optuna_nas.space.conditional import When
from optuna_nas.space.dag import DagModule
from optuna_nas.space.genotype import Genotype
from optuna_nas.space.layers import (
    activation,
    average_pooling,
    batch_normalization,
    conv,
    cropping,
    dense,
    depthwise_conv,
    dropout,
    flatten,
    global_average_pooling,
    global_max_pooling,
    identity,
    layer,
    layer_normalization,
    max_pooling,
    residual,
    separable_conv,
    zero,
    zero_padding,
)
from optuna_nas.space.nodes import Chain, Channels, Node, Scope, Tied
from optuna_nas.space.search_space import SearchSpace
from optuna_nas.space.structure import Parallel, Repeat, Subset

__all__ = [
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
    "Node",
    "Parallel",
    "Repeat",
    "Scope",
    "SearchSpace",
    "Subset",
    "Tied",
    "When",
    "activation",
    "average_pooling",
    "batch_normalization",
    "conv",
    "cropping",
    "dense",
    "depthwise_conv",
    "dropout",
    "flatten",
    "global_average_pooling",
    "global_max_pooling",
    "identity",
    "layer",
    "layer_normalization",
    "max_pooling",
    "residual",
    "separable_conv",
    "zero",
    "zero_padding",
]
