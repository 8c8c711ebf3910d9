"""Ready search spaces."""

from optuna_nas.spaces.branching_cnn import branching_cnn
from optuna_nas.spaces.chain_cnn import chain_cnn
from optuna_nas.spaces.darts import darts
from optuna_nas.spaces.darts_rnn import darts_rnn
from optuna_nas.spaces.mobile_cnn import mobile_cnn
from optuna_nas.spaces.nas_bench_101 import nas_bench_101
from optuna_nas.spaces.nas_bench_201 import nas_bench_201
from optuna_nas.spaces.nas_bench_macro import nas_bench_macro
from optuna_nas.spaces.nasnet import nasnet
from optuna_nas.spaces.residual_cnn import residual_cnn
from optuna_nas.spaces.sequence_cnn_rnn import sequence_cnn_rnn
from optuna_nas.spaces.tabular_mlp import tabular_mlp
from optuna_nas.spaces.text_classifier import text_classifier
from optuna_nas.spaces.training_decisions import training_decisions
from optuna_nas.spaces.vision_transformer import vision_transformer

__all__ = [
    "branching_cnn",
    "chain_cnn",
    "darts",
    "darts_rnn",
    "mobile_cnn",
    "nas_bench_101",
    "nas_bench_201",
    "nas_bench_macro",
    "nasnet",
    "residual_cnn",
    "sequence_cnn_rnn",
    "tabular_mlp",
    "text_classifier",
    "training_decisions",
    "vision_transformer",
]
