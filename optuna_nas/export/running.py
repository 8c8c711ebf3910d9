"""ONNX models run for what they give, on the processor and with one thread.

ONNX Runtime's exceptions share no public base; whoever calls these makes one of their own of them.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np


def onnx_session(model: bytes | str | os.PathLike[str]) -> Any:
    """An `onnxruntime.InferenceSession` of a model or of its file.

    Raises:
        ImportError: ONNX Runtime is missing.
    """
    ort = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    source = model if isinstance(model, bytes) else os.fspath(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def onnx_outputs(session: Any, x: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
    """The first output of a model of one input for all examples.

    Args:
        session: An `onnxruntime.InferenceSession`.
        x: Examples (examples, ...), of the model's type.
        batch_size: Examples at a time, where the model leaves that free.
    """
    taken = session.get_inputs()[0]
    fixed = isinstance(taken.shape[0], int)
    size = taken.shape[0] if fixed else batch_size
    outputs = []
    for start in range(0, len(x), size):
        chunk = x[start : start + size]
        # A fixed batch must be full: the last one is filled up, and the rest thrown away.
        missing = size - len(chunk) if fixed else 0
        full = np.concatenate([chunk, np.repeat(chunk[-1:], missing, axis=0)])
        outputs.append(session.run(None, {taken.name: full})[0][: len(chunk)])
    return np.concatenate(outputs)
