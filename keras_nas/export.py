"""`export_onnx`: a Keras model becomes an .onnx file; `prove`: the two agree."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from keras_nas._keras import keras
from keras_nas.conversion import converted_bytes
from keras_nas.graph_of import UnsupportedModelError, graph_of
from keras_nas.layer_rules import to_numpy
from optuna_nas.errors import ExportError, ProfilingError
from optuna_nas.export import (
    Preprocessing,
    onnx_bytes,
    onnx_outputs,
    onnx_session,
    replace_file,
)
from optuna_nas.profiling import require_onnxruntime

Method = Literal["auto", "graph", "keras"]
_WHOLE_NUMBERS = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}


def export_onnx(
    model: Any,
    path: str | os.PathLike[str],
    *,
    preprocessing: Preprocessing | None = None,
    softmax: bool = False,
    batch: int | None = None,
    method: Method = "auto",
) -> Path:
    """Writes a Keras model, with its weights, as an .onnx file that ONNX Runtime loads.

    Models made of layers that architecture graphs know are written by this project's own writer:
    in milliseconds, batch normalisations folded. Others go through Keras's own export, which
    needs the TensorFlow backend and tf2onnx (the extra ``optuna-nas[convert]``) and seconds.

    Args:
        model: A Keras model; for the quick way Functional or Sequential.
        path: Where to; what is there is replaced once the new file is known to load.
        preprocessing: Put before the network, so that the file takes raw features.
        softmax: Put a softmax behind the network, for models that end in logits.
        batch: Size of the batch axis; None leaves it free.
        method: "graph" for our own writer, "keras" for Keras's export, "auto" for the first
            where the model allows it.

    Returns:
        The path.

    Raises:
        UnsupportedModelError: With "graph": the model has a layer the writer does not know.
        ExportError: The export failed, or what it wrote does not load.
    """
    if method not in ("auto", "graph", "keras"):
        raise ExportError(f"method: expected 'auto', 'graph' or 'keras', got {method!r}", method)
    if preprocessing is not None and preprocessing.is_neutral:
        preprocessing = None
    target = Path(path)
    if not target.parent.is_dir():
        raise ExportError(f"path: there is no folder {os.fspath(target.parent)!r}; create it", path)
    options: dict[str, Any] = {"softmax": softmax, "batch": batch}
    try:
        if method == "keras":
            content = converted_bytes(model, preprocessing=preprocessing, **options)
        else:
            content = _written_bytes(model, preprocessing, options)
    except UnsupportedModelError as error:
        if method == "graph":
            raise
        try:
            content = converted_bytes(model, preprocessing=preprocessing, **options)
        except ExportError as second:
            raise ExportError(f"{error}; and the other way: {second}") from second
    load_session(content)
    return replace_file(target, content)


def _written_bytes(
    model: Any, preprocessing: Preprocessing | None, options: dict[str, Any]
) -> bytes:
    parts = graph_of(model)
    own = parts.preprocessing
    if preprocessing is not None and own is not None:
        joined: Preprocessing | None = preprocessing.then(own)
    else:
        joined = preprocessing or own
    return onnx_bytes(parts.graph, weights=parts.weights, preprocessing=joined, **options)


def load_session(model: bytes | str | os.PathLike[str]) -> Any:
    """Loads a model into ONNX Runtime, one thread.

    Raises:
        ExportError: It does not load, or ONNX Runtime is missing.
    """
    try:
        require_onnxruntime()
    except ProfilingError as error:
        raise ExportError(f"checking an export {error}") from error
    try:
        return onnx_session(model)
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        reason = " ".join(str(error).split())
        raise ExportError(f"ONNX Runtime can't load the exported model: {reason}") from error


@dataclass(frozen=True)
class ExportProof:
    """How far an exported model agrees with the Keras model it came from.

    Args:
        max_abs_difference: Largest absolute difference between outputs.
        agreement: Share of examples given the same class (largest output), 0 to 1.
        samples: Examples compared.
        tolerance: Difference allowed, times the largest absolute output where that passes 1.
        passed: Differences are within the tolerance and all classes agree.
    """

    max_abs_difference: float
    agreement: float
    samples: int
    tolerance: float
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        """The proof as plain, JSON-able values."""
        return asdict(self)


def prove(
    model: Any,
    onnx_path: str | os.PathLike[str],
    x: np.ndarray,
    *,
    preprocessing: Preprocessing | None = None,
    softmax: bool = False,
    batch_size: int = 256,
    tolerance: float = 1e-4,
) -> ExportProof:
    """Runs an exported file in ONNX Runtime beside its Keras model, on the same examples.

    Args:
        model: The Keras model.
        onnx_path: The file exported from it.
        x: Raw features as the file takes them, shape (samples, *input_shape).
        preprocessing: What the file was exported with; the Keras model gets preprocessed input.
        softmax: Whether the file was exported with ``softmax=True``.
        batch_size: Examples at a time, where the file leaves that free.
        tolerance: See `ExportProof`.

    Raises:
        ExportError: The file does not load, or does not take ``x``.
    """
    x = np.asarray(x, dtype=np.float32)
    if not len(x):
        raise ExportError("x: expected at least one example, got none")
    session = load_session(onnx_path)
    exported = _run_onnx(session, x, batch_size)
    prepared = x if preprocessing is None else preprocessing.apply(x)
    expected = _run_keras(model, prepared, batch_size, softmax)
    if expected.shape != exported.shape:
        raise ExportError(
            f"onnx_path: the file's output has shape {exported.shape}, the model's "
            f"{expected.shape}; export this model again"
        )
    difference = float(np.max(np.abs(expected - exported)))
    agreement = float(np.mean(expected.argmax(-1) == exported.argmax(-1)))
    allowed = tolerance * max(1.0, float(np.max(np.abs(expected))))
    passed = difference <= allowed and agreement == 1.0  # False also where either has a NaN
    return ExportProof(difference, agreement, len(x), tolerance, bool(passed))


def _run_onnx(session: Any, x: np.ndarray, batch: int) -> np.ndarray:
    taken = session.get_inputs()[0]
    x = x.astype(_WHOLE_NUMBERS.get(taken.type, np.float32), copy=False)
    try:
        return onnx_outputs(session, x, batch_size=batch)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ExportError(f"onnx_path: the model does not take x: {reason}") from error


def _run_keras(model: Any, x: np.ndarray, batch: int, softmax: bool) -> np.ndarray:
    outputs = []
    for start in range(0, len(x), batch):
        output = model(x[start : start + batch], training=False)
        if softmax:
            output = keras.ops.softmax(output)
        outputs.append(to_numpy(output))
    return np.concatenate(outputs)
