"""The one door to the optional `onnx` package."""

from __future__ import annotations

import importlib
from typing import Any

from optuna_nas.errors import ExportError


def require_onnx() -> Any:
    """Returns the `onnx` module with its helpers loaded.

    Raises:
        ExportError: It is not installed; the message names the extra that brings it.
    """
    try:
        onnx = importlib.import_module("onnx")
        importlib.import_module("onnx.helper")
        importlib.import_module("onnx.numpy_helper")
    except ImportError as error:
        raise ExportError(
            f"writing an ONNX file needs the onnx package ({error}): "
            "install it with: pip install 'optuna-nas[onnx]'"
        ) from error
    return onnx
