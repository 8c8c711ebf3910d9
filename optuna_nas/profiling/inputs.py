"""What a model is fed while it is measured: a shape for every input, and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optuna_nas.errors import ProfilingError

Shape = Sequence[int | None]
"""Sizes of an input's axes; None leaves a free first axis to the batch, others to their names."""

Shapes = Mapping[str, Shape]

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


def given_shapes(
    session: Any,
    name: str,
    *,
    shapes: Shapes | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
) -> dict[str, tuple[int | None, ...]]:
    """The shapes a caller states, checked against the inputs that a model has.

    Args:
        session: An `onnxruntime.InferenceSession`.
        name: How messages call the model.
        shapes: Shapes by input name.
        inputs: Example arrays by input name; these count more.

    Raises:
        ProfilingError: There is no such input, or it has other axes.
    """
    known = {item.name: item.shape for item in session.get_inputs()}
    stated = {key: tuple(shape) for key, shape in (shapes or {}).items()}
    examples: dict[str, tuple[int | None, ...]] = {
        key: np.shape(array) for key, array in (inputs or {}).items()
    }
    for option, values in (("shapes", stated), ("inputs", examples)):
        for key, shape in values.items():
            if key not in known:
                raise ProfilingError(
                    f"{option}: {name} has no input {key!r}, it has {sorted(known)}", key
                )
            if any(size is not None and size < 1 for size in shape):
                raise ProfilingError(
                    f"{option}[{key!r}]: expected sizes of 1 or more, got {shape}", shape
                )
            if len(shape) != len(known[key]):
                raise ProfilingError(
                    f"{option}[{key!r}]: expected {len(known[key])} axes {known[key]}, "
                    f"got shape {shape}",
                    shape,
                )
            for axis, (size, own) in enumerate(zip(shape, known[key], strict=True)):
                if isinstance(own, int) and size not in (own, None):
                    raise ProfilingError(
                        f"{option}[{key!r}]: axis {axis} must have size {own}, got {size}", shape
                    )
    return {**stated, **examples}


def fixed_shapes(
    session: Any, given: Mapping[str, Shape], *, batch: int
) -> tuple[dict[str, list[int]], dict[str, int]]:
    """A size for every axis of every input.

    Free axes take their size from ``given``, also from another input whose axis has the same
    name; a free first axis is the batch.

    Args:
        session: An `onnxruntime.InferenceSession`.
        given: Shapes by input name, see `given_shapes`.
        batch: Size of a free first axis.

    Returns:
        Shapes by input name, and sizes by the names of free axes.

    Raises:
        ProfilingError: Other axes are free; the message names them and what sets them. Or one
            name gets two sizes.
    """
    items = session.get_inputs()
    sizes: dict[str, int] = {}
    for item in items:
        for size, own in zip(given.get(item.name, ()), item.shape, strict=False):
            if size is None or not isinstance(own, str) or not own:
                continue
            if sizes.setdefault(own, int(size)) != size:
                raise ProfilingError(
                    f"shapes: the axes called {own!r} must have one size, got {sizes[own]} and "
                    f"{size}",
                    given,
                )
    for item in items:
        if item.shape and isinstance(item.shape[0], str) and item.shape[0]:
            sizes.setdefault(item.shape[0], batch)
    shapes: dict[str, list[int]] = {}
    free: dict[str, list[str]] = {}
    for item in items:
        known = given.get(item.name, (None,) * len(item.shape))
        shape: list[Any] = []
        for axis, own in enumerate(item.shape):
            if isinstance(own, int):
                shape.append(own)
            elif (size := known[axis]) is not None:
                shape.append(int(size))
            elif own in sizes:
                shape.append(sizes[own])
            elif axis == 0:
                shape.append(batch)
            else:
                shape.append(f"<{own or axis}>")
                called = f" ({own!r})" if own else ""
                free.setdefault(item.name, []).append(f"{axis}{called}")
        shapes[item.name] = shape
    if free:
        raise ProfilingError(_free_axes(free, shapes), free)
    return shapes, sizes


def example(item: Any, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Made-up values for an input: real numbers from 0 to 1, whole ones and flags 0 or 1.

    Small values are valid as pixels, tokens, classes and flags alike.

    Raises:
        ProfilingError: The input is of a type that is no array of numbers, such as text.
    """
    dtype = np.dtype(_DTYPES[checked_type(item)])
    if dtype.kind == "f":
        return rng.random(shape, dtype=np.float32).astype(dtype, copy=False)
    return rng.integers(0, 2, shape, dtype=np.int8).astype(dtype)


def checked_type(item: Any) -> str:
    """The type of an input, where it is one that can be measured.

    Raises:
        ProfilingError: It is not.
    """
    if item.type not in _DTYPES:
        raise ProfilingError(
            f"input {item.name!r} has type {item.type}; models are measured with tensors of "
            "numbers and flags: export this one without the part that reads anything else",
            item.type,
        )
    return str(item.type)


def parse_shape(text: str) -> tuple[str, tuple[int | None, ...]]:
    """Reads ``image=1x3x224x224``, or with ``?`` for a batch that is set elsewhere.

    Raises:
        ProfilingError: It is not written like that.
    """
    name, equals, sizes = text.rpartition("=")
    try:
        shape = tuple(None if size == "?" else int(size) for size in sizes.split("x"))
    except ValueError:
        shape = ()
    if not (name and equals and shape):
        raise ProfilingError(f"--shape: expected name=1x3x224x224, got {text!r}", text)
    return name, shape


def _free_axes(free: Mapping[str, list[str]], shapes: Mapping[str, list[Any]]) -> str:
    told = "; ".join(
        f"{'axis' if len(axes) == 1 else 'axes'} {', '.join(axes)} of input {name!r}"
        for name, axes in free.items()
    )
    python = ", ".join(f"{name!r}: ({', '.join(map(str, shapes[name]))})" for name in free)
    command = " ".join(f"--shape {name}={'x'.join(map(str, shapes[name]))}" for name in free)
    return (
        f"{told}: no fixed size; give sizes, shapes={{{python}}} or on the command line "
        f"{command}, give an example by inputs=, or export with a fixed shape"
    )
