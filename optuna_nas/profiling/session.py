"""A model loaded into ONNX Runtime as it is measured: threads and shapes fixed, inputs bound."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optuna_nas.errors import ProfilingError

Model = str | os.PathLike[str] | bytes

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(int16)": np.int16,
    "tensor(uint16)": np.uint16,
    "tensor(int32)": np.int32,
    "tensor(uint32)": np.uint32,
    "tensor(int64)": np.int64,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
}


def require_onnxruntime() -> Any:
    """Returns the `onnxruntime` module.

    Raises:
        ProfilingError: It is not installed; the message names the extra that brings it.
    """
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ProfilingError(
            f"measuring latency needs ONNX Runtime ({error}): "
            "install it with: pip install 'optuna-nas[onnx]'"
        ) from error


@dataclass(frozen=True)
class LoadedModel:
    """A session with its inputs bound.

    Args:
        run: One run of the model on one batch.
        session: The `onnxruntime.InferenceSession`.
        input_shapes: Shape of every input, batch first.
        size_bytes: Size of the model as it came.
    """

    run: Callable[[], object]
    session: Any
    input_shapes: dict[str, list[int]]
    size_bytes: int


def model_name(model: Model) -> str:
    """How messages call a model: its path, or its size."""
    return f"a model of {len(model)} bytes" if isinstance(model, bytes) else os.fspath(model)


def _options(ort: Any, threads: int, profile_prefix: str | None) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # failures arrive as exceptions, warnings are not ours to print
    for pool in ("intra_op", "inter_op"):
        options.add_session_config_entry(f"session.{pool}.allow_spinning", "0")
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    return options


def _session(ort: Any, model: Model, options: Any, provider: str) -> Any:
    available = ort.get_available_providers()
    if provider not in available:
        raise ProfilingError(
            f"provider: {provider!r} is not available in this ONNX Runtime; "
            f"choose one of {available}",
            provider,
        )
    if not isinstance(model, bytes) and not Path(model).is_file():
        raise ProfilingError(f"model: there is no file {os.fspath(model)!r}", model)
    source = model if isinstance(model, bytes) else os.fspath(model)
    try:
        session = ort.InferenceSession(source, options, providers=[provider])
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        reason = " ".join(str(error).split())
        raise ProfilingError(
            f"ONNX Runtime can't load {model_name(model)}: {reason}; export the model again"
        ) from error
    # A provider that fails to start is replaced by the CPU without a word.
    if session.get_providers()[0] != provider:
        raise ProfilingError(
            f"provider: {provider!r} did not start, ONNX Runtime fell back to "
            f"{session.get_providers()[0]!r}; check its drivers",
            provider,
        )
    return session


def _input_shapes(
    session: Any, model: Model, batch: int, inputs: Mapping[str, np.ndarray]
) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Static input shapes, and the named free dimensions to override for them."""
    known = {item.name for item in session.get_inputs()}
    for name in inputs:
        if name not in known:
            raise ProfilingError(
                f"inputs: {model_name(model)} has no input {name!r}, it has {sorted(known)}", name
            )
    shapes: dict[str, list[int]] = {}
    overrides: dict[str, int] = {}
    for item in session.get_inputs():
        given = inputs.get(item.name)
        if given is not None and len(given.shape) != len(item.shape):
            raise ProfilingError(
                f"inputs[{item.name!r}]: expected {len(item.shape)} axes {item.shape}, "
                f"got shape {given.shape}"
            )
        shape: list[int] = []
        for axis, size in enumerate(item.shape):
            if given is not None:
                fixed = int(given.shape[axis])
            elif isinstance(size, int) and size > 0:
                fixed = size
            elif axis == 0 or size in overrides:
                fixed = overrides.get(size, batch)
            else:
                raise ProfilingError(
                    f"axis {axis} of input {item.name!r} has no fixed size in {item.shape}: give "
                    f"an example, inputs={{{item.name!r}: array}}, or export with a fixed shape",
                    item.shape,
                )
            if isinstance(size, int) and size > 0 and size != fixed:
                raise ProfilingError(
                    f"inputs[{item.name!r}]: axis {axis} must have size {size}, got {fixed}"
                )
            if isinstance(size, str) and size:
                overrides[size] = fixed
            shape.append(fixed)
        shapes[item.name] = shape
    return shapes, overrides


def _example(item: Any, shape: list[int], rng: np.random.Generator) -> np.ndarray:
    try:
        dtype = np.dtype(_DTYPES[item.type])
    except KeyError:
        raise ProfilingError(
            f"input {item.name!r} has type {item.type}, which can't be made up; "
            f"give an example: inputs={{{item.name!r}: array}}",
            item.type,
        ) from None
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)  # from 0 to 1: valid as a category, too
    return rng.integers(0, 2, shape).astype(dtype)  # small: valid as token, class or flag


def load_model(
    model: Model,
    *,
    batch: int = 1,
    threads: int = 1,
    provider: str = "CPUExecutionProvider",
    inputs: Mapping[str, np.ndarray] | None = None,
    profile_prefix: str | None = None,
) -> LoadedModel:
    """Loads a model, gives its free batch axis a size, binds inputs, runs it once.

    Args:
        model: Path of an .onnx file, or its bytes.
        batch: Size of a free first axis.
        threads: Threads inside an operator.
        provider: Execution provider, of those this ONNX Runtime has.
        inputs: Example arrays by input name; random ones where left out.
        profile_prefix: Turns ONNX Runtime's profiler on, writing to this path prefix.

    Raises:
        ProfilingError: The model can't be loaded or run, or leaves a dimension open.
    """
    ort = require_onnxruntime()
    given = {name: np.asarray(array) for name, array in (inputs or {}).items()}
    options = _options(ort, threads, profile_prefix)
    session = _session(ort, model, options, provider)
    shapes, overrides = _input_shapes(session, model, batch, given)
    if overrides:
        options = _options(ort, threads, profile_prefix)
        for name, size in overrides.items():
            options.add_free_dimension_override_by_name(name, size)
        session = _session(ort, model, options, provider)
    rng = np.random.default_rng(0)
    binding = session.io_binding()
    kept = []  # a binding only points to its values
    try:
        for item in session.get_inputs():
            array = given.get(item.name)
            if array is None:
                array = _example(item, shapes[item.name], rng)
            value = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
            kept.append(value)
            binding.bind_ortvalue_input(item.name, value)
        for item in session.get_outputs():
            binding.bind_output(item.name, "cpu")
        session.run_with_iobinding(binding)
        # From here on every run writes into the same buffers, as a server's would.
        for item, value in zip(session.get_outputs(), binding.get_outputs(), strict=True):
            if value.is_tensor():
                kept.append(value)
                binding.bind_ortvalue_output(item.name, value)
        session.run_with_iobinding(binding)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ProfilingError(f"ONNX Runtime can't run {model_name(model)}: {reason}") from error

    def run(_kept: object = kept) -> None:
        session.run_with_iobinding(binding)

    size = len(model) if isinstance(model, bytes) else Path(model).stat().st_size
    return LoadedModel(run, session, shapes, size)
