"""Architecture graphs as ONNX files, with trained or random weights.

`write_onnx` needs the extra ``optuna-nas[onnx]``, which is imported when it is called. It needs no
framework, so a candidate's latency can be had before anything is built or trained.
"""

from optuna_nas.export import attention as attention  # registers rules
from optuna_nas.export import sequences as sequences
from optuna_nas.export import slicing as slicing
from optuna_nas.export._onnx import require_onnx
from optuna_nas.export.model import onnx_bytes, replace_file, write_onnx
from optuna_nas.export.preprocessing import Preprocessing
from optuna_nas.export.quantization import float16_onnx, quantize_onnx
from optuna_nas.export.rules import Rule, register_rule, supported_operations
from optuna_nas.export.running import onnx_outputs, onnx_session
from optuna_nas.export.weights import random_weights, weight_shapes
from optuna_nas.export.writer import Layout, Writer

__all__ = [
    "Layout",
    "Preprocessing",
    "Rule",
    "Writer",
    "float16_onnx",
    "onnx_bytes",
    "onnx_outputs",
    "onnx_session",
    "quantize_onnx",
    "random_weights",
    "register_rule",
    "replace_file",
    "require_onnx",
    "supported_operations",
    "weight_shapes",
    "write_onnx",
]
