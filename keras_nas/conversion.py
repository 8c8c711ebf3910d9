"""Keras's own ONNX export, made honest: its failures are found, and preprocessing is grafted on."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from keras_nas._keras import keras
from optuna_nas.errors import ExportError
from optuna_nas.export import Preprocessing, require_onnx


class _Complaints(logging.Handler):
    """Keeps what tf2onnx logs as errors: where its conversion fails, it does not raise."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(" ".join(record.getMessage().split()))


def converted_bytes(
    model: Any,
    *,
    preprocessing: Preprocessing | None = None,
    softmax: bool = False,
    batch: int | None = None,
) -> bytes:
    """The model as Keras and tf2onnx convert it, serialized.

    Args:
        model: A Keras model of one input and one output, built.
        preprocessing: Put before it.
        softmax: Put behind it.
        batch: Size of the batch axis; None leaves it free.

    Raises:
        ExportError: The conversion failed, openly or silently; the message has its reason.
    """
    onnx = require_onnx()
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"Keras's own export needs the TensorFlow backend, got {keras.backend.backend()!r}; "
            "set KERAS_BACKEND=tensorflow, or use layers that keras_nas.graph_of knows"
        )
    complaints = _Complaints()
    logger = logging.getLogger("tf2onnx")
    before = logger.handlers[:], logger.propagate
    logger.handlers, logger.propagate = [complaints], False
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            _export(model, path, complaints.messages)
            proto = onnx.load(str(path))
    except ExportError:
        raise
    except Exception as error:  # an unreadable file, with whatever protobuf raises for it
        raise _failure(model, complaints.messages, error) from error
    finally:
        logger.handlers, logger.propagate = before
    _check(onnx, proto, model, complaints.messages)
    _graft(onnx, proto, preprocessing, softmax)
    _fix_batch(proto, batch)
    return bytes(proto.SerializeToString(deterministic=True))


def _export(model: Any, path: Path, messages: list[str]) -> None:
    if not model.built:
        raise ExportError(f"model {model.name!r} is not built; call it once on an example")
    signature = None
    if getattr(model, "inputs", None):  # else Keras wants the model to have been called
        signature = [
            keras.InputSpec(dtype=tensor.dtype, shape=tensor.shape, name=tensor.name)
            for tensor in model.inputs
        ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tf2onnx uses what NumPy and TensorFlow deprecate
            model.export(str(path), format="onnx", verbose=False, input_signature=signature)
    except ImportError as error:
        raise ExportError(
            f"Keras's own export needs a package that is missing ({error}): "
            "install it with: pip install 'optuna-nas[convert]'"
        ) from error
    except Exception as error:  # TensorFlow, tf2onnx and Keras raise all kinds
        raise _failure(model, messages, error) from error


def _failure(model: Any, messages: list[str], error: object) -> ExportError:
    reason = messages[0] if messages else " ".join(str(error).split())
    return ExportError(
        f"Keras can't export model {model.name!r} as ONNX: {reason[:300] or type(error).__name__}"
    )


def _check(onnx: Any, proto: Any, model: Any, messages: list[str]) -> None:
    """Finds conversions that failed silently: operators that belong to no known operator set."""
    if not proto.graph.node and not proto.graph.output:
        raise _failure(model, messages, "the file is empty")
    foreign = {
        node.op_type
        for node in proto.graph.node
        if node.domain in ("", "ai.onnx") and not onnx.defs.has(node.op_type)
    }
    if foreign:
        listed = ", ".join(sorted(foreign))
        raise _failure(model, [], f"it has no ONNX counterpart for TensorFlow's {listed}")


def _graft(onnx: Any, proto: Any, preprocessing: Preprocessing | None, softmax: bool) -> None:
    """Puts preprocessing before and a softmax behind a model; inside, no name changes."""
    helper, graph = onnx.helper, proto.graph
    if len(graph.input) != 1 or len(graph.output) != 1:
        raise ExportError(
            f"the model has {len(graph.input)} inputs and {len(graph.output)} outputs; export "
            "models that have one of each"
        )
    if preprocessing is not None:
        inner = graph.input[0].name
        graph.input[0].name = outer = f"{inner}/raw"
        for name, value in (("mean", preprocessing.mean), ("scale", preprocessing.scale)):
            constant = np.asarray(value, np.float32)
            tensor = onnx.numpy_helper.from_array(constant, f"preprocessing/{name}")
            graph.initializer.append(tensor)
        nodes = [
            helper.make_node("Sub", [outer, "preprocessing/mean"], ["preprocessing/centred"]),
            helper.make_node("Mul", ["preprocessing/centred", "preprocessing/scale"], [inner]),
        ]
        for node in reversed(nodes):
            graph.node.insert(0, node)
    if softmax:
        inner = graph.output[0].name
        graph.output[0].name = "probabilities"
        graph.node.append(helper.make_node("Softmax", [inner], ["probabilities"], axis=-1))


def _fix_batch(proto: Any, batch: int | None) -> None:
    if batch is None:
        return
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = batch
