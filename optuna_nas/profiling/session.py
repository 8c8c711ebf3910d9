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
from optuna_nas.profiling.failures import Model, failure, model_name
from optuna_nas.profiling.inputs import Shapes, checked_type, example, fixed_shapes, given_shapes

_OWN_THREADS = {
    "OpenVINOExecutionProvider": "num_of_threads",
    "XnnpackExecutionProvider": "intra_op_num_threads",
}
"""Providers with threads of their own, by the option that sets how many."""


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

    @property
    def batch(self) -> int | None:
        """Size of the first axis of the first input; None where there is no such axis."""
        return next((shape[0] for shape in self.input_shapes.values() if shape), None)


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


def _session(ort: Any, model: Model, options: Any, provider: str, threads: int) -> Any:
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
        session = ort.InferenceSession(
            source,
            options,
            providers=[provider],
            provider_options=[
                {_OWN_THREADS[provider]: str(threads)} if provider in _OWN_THREADS else {}
            ],
        )
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        raise failure(model, error, action="load") from error
    # A provider that fails to start is replaced by the CPU without a word.
    if session.get_providers()[0] != provider:
        raise ProfilingError(
            f"provider: {provider!r} did not start, ONNX Runtime fell back to "
            f"{session.get_providers()[0]!r}; check its drivers",
            provider,
        )
    return session


def load_model(
    model: Model,
    *,
    batch: int = 1,
    threads: int = 1,
    provider: str = "CPUExecutionProvider",
    inputs: Mapping[str, np.ndarray] | None = None,
    shapes: Shapes | None = None,
    profile_prefix: str | None = None,
) -> LoadedModel:
    """Loads a model, gives its free batch axis a size, binds inputs, runs it once.

    Args:
        model: Path of an .onnx file, or its bytes.
        batch: Size of a free first axis.
        threads: Threads inside an operator.
        provider: Execution provider, of those this ONNX Runtime has.
        inputs: Example arrays by input name; random ones where left out.
        shapes: Shapes by input name, for axes that are free.
        profile_prefix: Turns ONNX Runtime's profiler on, writing to this path prefix.

    Raises:
        ProfilingError: The model can't be loaded or run, or leaves a dimension open.
    """
    ort = require_onnxruntime()
    options = _options(ort, threads, profile_prefix)
    session = _session(ort, model, options, provider, threads)
    for item in session.get_inputs():
        checked_type(item)
    for item in session.get_outputs():
        if item.type.startswith("optional"):  # binding it ends the process
            raise ProfilingError(
                f"output {item.name!r} has type {item.type}, which can't be measured; "
                "export the model with outputs that are always there",
                item.type,
            )
    given = given_shapes(session, model_name(model), shapes=shapes, inputs=inputs)
    fixed, sizes = fixed_shapes(session, given, batch=batch)
    if sizes:
        # Sizes known beforehand let the runtime plan its memory and fuse more.
        options = _options(ort, threads, profile_prefix)
        for name, size in sizes.items():
            options.add_free_dimension_override_by_name(name, size)
        session = _session(ort, model, options, provider, threads)
    rng = np.random.default_rng(0)
    binding = session.io_binding()
    kept = []  # a binding only points to its values
    try:
        for item in session.get_inputs():
            array = (inputs or {}).get(item.name)
            if array is None:
                array = example(item, fixed[item.name], rng)
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
        raise failure(model, error, action="run") from error

    def run(_kept: object = kept) -> None:
        session.run_with_iobinding(binding)

    size = len(model) if isinstance(model, bytes) else Path(model).stat().st_size
    return LoadedModel(run, session, fixed, size)
