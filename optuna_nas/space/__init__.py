"""What may be chosen: the primitives of a search space, the space, and genotypes."""

from optuna_nas.space.choices import Choice, Float, Integer, Maybe
from optuna_nas.space.genotype import Genotype
from optuna_nas.space.layers import (
    activation,
    average_pooling,
    batch_normalization,
    conv,
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
from optuna_nas.space.structure import Cell, Edge, Parallel, Repeat, Subset

__all__ = [
    "Cell",
    "Chain",
    "Channels",
    "Choice",
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
    "activation",
    "average_pooling",
    "batch_normalization",
    "conv",
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
