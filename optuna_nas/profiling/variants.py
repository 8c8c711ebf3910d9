"""What int8 and float16 variants of a model gain in time and size, and cost in accuracy."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from optuna_nas.errors import ProfilingError
from optuna_nas.export import float16_onnx, onnx_outputs, onnx_session, quantize_onnx
from optuna_nas.profiling.failures import failure
from optuna_nas.profiling.latency import LatencyProfile
from optuna_nas.profiling.measure import profile_many
from optuna_nas.profiling.session import require_onnxruntime

CALIBRATION_EXAMPLES = 200


@dataclass(frozen=True)
class Variant:
    """A model beside the float32 model it was made from.

    Args:
        name: ``"float32"`` for the model itself, ``"int8"`` for static and ``"int8 dynamic"`` for
            dynamic quantization, ``"float16"``.
        profile: Its latency, measured side by side with the others.
        speedup: Quickest run of the float32 model over its own.
        accuracy: Share of examples whose largest output is their class; None without classes.
        agreement: Share of examples that get the same class (largest output) as from float32.
        max_abs_difference: Largest difference of an output from float32's.
        examples: Examples compared.
    """

    name: str
    profile: LatencyProfile
    speedup: float
    accuracy: float | None
    agreement: float
    max_abs_difference: float
    examples: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "profile": self.profile.to_dict()}


def measure_variants(
    model: str | os.PathLike[str],
    x: np.ndarray,
    y: np.ndarray | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    **options: Any,
) -> list[Variant]:
    """Makes the variants of a classifier, and measures all of them side by side.

    Args:
        model: Path of a float32 model with one input, whose first output has a number for each
            class in its last axis.
        x: Examples as the model takes them, shape (examples, *input_shape). At most 200, or the
            first half, calibrate the static int8 variant; the rest compares the variants.
        y: Classes, shape (examples,); without them accuracies are left out.
        folder: Where the variants stay, as ``<model>-int8.onnx`` and so on; else they are thrown
            away.
        **options: Passed on to `profile_many`.

    Returns:
        float32, static int8, dynamic int8 and float16, in this order.

    Raises:
        ExportError: A variant can't be made.
        ProfilingError: The examples do not fit, or a variant can't be measured.
    """
    if len(x) < 2 or (y is not None and len(y) != len(x)):
        raise ProfilingError(
            f"x: expected two examples or more, and a class in y for each, got {len(x)} and "
            f"{'no y' if y is None else len(y)}",
            len(x),
        )
    count = min(CALIBRATION_EXAMPLES, len(x) // 2)
    examples, classes = x[count:], None if y is None else np.asarray(y)[count:]
    with tempfile.TemporaryDirectory() as temporary:
        stem = Path(temporary if folder is None else folder) / Path(model).stem
        paths = {
            "float32": Path(model),
            "int8": quantize_onnx(model, f"{stem}-int8.onnx", calibration=x[:count]),
            "int8 dynamic": quantize_onnx(model, f"{stem}-int8-dynamic.onnx"),
            "float16": float16_onnx(model, f"{stem}-float16.onnx"),
        }
        outputs = [_outputs(path, examples) for path in paths.values()]
        profiles = profile_many(list(paths.values()), **options)
    first, original = profiles[0], outputs[0]
    return [
        Variant(
            name=name,
            profile=profile,
            speedup=first.min_ms / profile.min_ms,
            accuracy=None if classes is None else _share(output.argmax(axis=-1) == classes),
            agreement=_share(output.argmax(axis=-1) == original.argmax(axis=-1)),
            max_abs_difference=float(np.abs(output - original).max()),
            examples=len(examples),
        )
        for name, profile, output in zip(paths, profiles, outputs, strict=True)
    ]


def read_examples(path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Examples ``x``, and classes ``y`` where there are any, of a NumPy ``.npz`` file.

    Raises:
        ProfilingError: It can't be read, or has no ``x``.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["x"], arrays.get("y")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, BadZipFile) as error:
        raise ProfilingError(
            f"--variants: expected a NumPy .npz file with x, and y for classes, got {path!r} "
            f"({error})",
            path,
        ) from error


def _share(hits: np.ndarray) -> float:
    return float(np.mean(hits))


def _outputs(path: Path, x: np.ndarray) -> np.ndarray:
    """The first output for all examples."""
    require_onnxruntime()
    try:
        outputs = onnx_outputs(onnx_session(path), x)
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        raise failure(path, error, action="run") from error
    return outputs.astype(np.float64)
