"""Latency of ONNX models as a measurement with provenance.

`profile_onnx` measures a file or serialized model with ONNX Runtime, `profile_many` several side by
side, `profile_remote` on another device. `latency_of_graph` measures an architecture before it is
trained, from a skeleton with random weights; `measure_variants` tells what int8 and float16 gain. A
`LatencyTable` predicts any network of a space from the times of its operations, a
`LatencyPredictor` from a handful of measured networks.
Needs the extra ``optuna-nas[onnx]``; nothing is imported before a function is called.
"""

from optuna_nas.profiling.additive import AdditiveLatency
from optuna_nas.profiling.anchor import ANCHOR_NAME, anchor_bytes
from optuna_nas.profiling.fitting import Quality
from optuna_nas.profiling.job import LatencyJob
from optuna_nas.profiling.latency import LatencyProfile, OperationTime
from optuna_nas.profiling.latency_predictor import LatencyPredictor
from optuna_nas.profiling.latency_table import LatencyTable
from optuna_nas.profiling.measure import profile_many, profile_onnx
from optuna_nas.profiling.reference import anchor_reference_ms
from optuna_nas.profiling.remote import (
    device_program,
    profile_many_remote,
    profile_remote,
    read_profiles,
)
from optuna_nas.profiling.session import require_onnxruntime
from optuna_nas.profiling.skeleton import latency_of_graph
from optuna_nas.profiling.timing import ModelTimes, time_models
from optuna_nas.profiling.variants import Variant, measure_variants

__all__ = [
    "ANCHOR_NAME",
    "AdditiveLatency",
    "LatencyJob",
    "LatencyPredictor",
    "LatencyProfile",
    "LatencyTable",
    "ModelTimes",
    "OperationTime",
    "Quality",
    "Variant",
    "anchor_bytes",
    "anchor_reference_ms",
    "device_program",
    "latency_of_graph",
    "measure_variants",
    "profile_many",
    "profile_many_remote",
    "profile_onnx",
    "profile_remote",
    "read_profiles",
    "require_onnxruntime",
    "time_models",
]
