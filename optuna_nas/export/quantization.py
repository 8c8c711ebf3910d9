"""Smaller numbers for a model: int8 and float16 variants, by ONNX Runtime's own tools.

What they gain depends on the processor. int8 pays where it has instructions for it, float16 on GPUs
and some ARM processors; elsewhere a variant may be slower than what it was made from. So measure
both, `python -m optuna_nas.profiling model.onnx --variants examples.npz`.
"""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from optuna_nas.errors import ExportError
from optuna_nas.export._onnx import require_onnx
from optuna_nas.export.model import replace_file
from optuna_nas.export.running import onnx_session

CALIBRATION_BATCH = 32


def quantize_onnx(
    model: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    calibration: np.ndarray | None = None,
) -> Path:
    """Writes a variant of a float32 model that computes in int8.

    With examples, the range of every layer's output is taken from them (static quantization):
    weights of convolutions and dense layers get one scale a channel, everything is stored as
    pairs of QuantizeLinear and DequantizeLinear that runtimes fuse. Without, ranges are found
    anew in each run (dynamic quantization), which suits dense and recurrent networks and slows
    convolutions down.

    Args:
        model: Path of the float32 model.
        path: Where to.
        calibration: Examples as the model takes them, shape (examples, *input_shape), of the kind
            it will see; a hundred or two are enough. For models of one input.

    Returns:
        The path.

    Raises:
        ExportError: ONNX Runtime or onnx is missing, the model can't be read or has several
            inputs, the examples do not fit it, or a file can't be written.
    """
    tools = _tools("onnxruntime.quantization")
    with _failures(model), tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "int8.onnx"
        simple = Path(folder) / "simple.onnx"
        # Fuses what would otherwise get ranges of its own; the symbolic shapes need sympy.
        _tools("onnxruntime.quantization.shape_inference").quant_pre_process(
            os.fspath(model), os.fspath(simple), skip_symbolic_shape=True
        )
        if calibration is None:
            # Unsigned: not every ONNX Runtime has convolutions of signed weights.
            tools.quantize_dynamic(simple, written, weight_type=tools.QuantType.QUInt8)
        else:
            tools.quantize_static(
                simple,
                written,
                _reader(tools, os.fspath(simple), calibration),
                quant_format=tools.QuantFormat.QDQ,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                per_channel=True,
                # Seven bits for weights: with eight, processors without VNNI overflow.
                reduce_range=True,
            )
        return replace_file(path, written.read_bytes())


def float16_onnx(model: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Writes a variant of a float32 model that computes in float16 between float32 ends.

    Args:
        model: Path of the float32 model.
        path: Where to.

    Returns:
        The path.

    Raises:
        ExportError: As for `quantize_onnx`.
    """
    onnx = require_onnx()
    tools = _tools("onnxruntime.transformers.float16")
    with _failures(model):
        converted = tools.convert_float_to_float16(onnx.load(os.fspath(model)), keep_io_types=True)
        return replace_file(path, converted.SerializeToString(deterministic=True))


def _tools(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExportError(
            f"quantizing needs ONNX Runtime and onnx ({error}): "
            "install them with: pip install 'optuna-nas[onnx]'"
        ) from error


@contextmanager
def _failures(model: str | os.PathLike[str]) -> Iterator[None]:
    """Makes one kind of error of the tools' many, and keeps their advice to themselves."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    except ExportError:
        raise
    except Exception as error:  # they share no base
        reason = " ".join(str(error).split())[:300]
        raise ExportError(
            f"model: {os.fspath(model)} can't be converted ({type(error).__name__}: {reason}); "
            "give an ONNX model in float32 that ONNX Runtime loads",
            model,
        ) from error
    finally:
        logging.disable(disabled)


def _reader(tools: Any, model: str, examples: np.ndarray) -> Any:
    """Feeds examples to the tools, in batches of the size that the model takes."""
    inputs = onnx_session(model).get_inputs()
    if len(inputs) != 1:
        raise ExportError(
            f"calibration: expected a model of one input, got {[item.name for item in inputs]}; "
            "leave calibration out",
            inputs,
        )
    shape = inputs[0].shape
    fits = len(shape) == examples.ndim and all(
        not isinstance(size, int) or size == own
        for size, own in zip(shape[1:], examples.shape[1:], strict=True)
    )
    batch = shape[0] if shape and isinstance(shape[0], int) else CALIBRATION_BATCH
    whole = len(examples) // batch * batch if shape and isinstance(shape[0], int) else len(examples)
    if not fits or whole == 0:
        raise ExportError(
            f"calibration: expected examples of shape {shape}, got {examples.shape}", examples.shape
        )

    class Reader(tools.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            starts = range(0, whole, batch)
            self._batches = ({inputs[0].name: examples[i : i + batch]} for i in starts)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._batches, None)

    return Reader()
