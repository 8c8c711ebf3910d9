"""Latency of ONNX models as a measurement with provenance.

`profile_onnx` measures a file or serialized model with ONNX Runtime, `profile_many` re-measures
several interleaved, `latency_of_graph` measures an architecture before it is trained, from a
skeleton with random weights. Needs the extra ``optuna-nas[onnx]``; nothing is imported before a
function is called.
"""

from optuna_nas.profiling.anchor import ANCHOR_NAME, anchor_bytes
from optuna_nas.profiling.latency import LatencyProfile, OperationTime
from optuna_nas.profiling.measure import (
    anchor_reference_ms,
    latency_of_graph,
    profile_many,
    profile_onnx,
)
from optuna_nas.profiling.session import require_onnxruntime

__all__ = [
    "ANCHOR_NAME",
    "LatencyProfile",
    "OperationTime",
    "anchor_bytes",
    "anchor_reference_ms",
    "latency_of_graph",
    "profile_many",
    "profile_onnx",
    "require_onnxruntime",
]
