"""Ready search spaces."""

from optuna_nas.spaces.chain_cnn import chain_cnn
from optuna_nas.spaces.nas_bench_201 import nas_bench_201
from optuna_nas.spaces.tabular_mlp import tabular_mlp

__all__ = ["chain_cnn", "nas_bench_201", "tabular_mlp"]
