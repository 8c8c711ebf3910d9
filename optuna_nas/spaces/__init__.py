"""Ready search spaces."""

from optuna_nas.spaces.chain_cnn import chain_cnn
from optuna_nas.spaces.darts import darts
from optuna_nas.spaces.nas_bench_101 import nas_bench_101
from optuna_nas.spaces.nas_bench_201 import nas_bench_201
from optuna_nas.spaces.nas_bench_macro import nas_bench_macro
from optuna_nas.spaces.nasnet import nasnet
from optuna_nas.spaces.tabular_mlp import tabular_mlp

__all__ = [
    "chain_cnn",
    "darts",
    "nas_bench_101",
    "nas_bench_201",
    "nas_bench_macro",
    "nasnet",
    "tabular_mlp",
]
