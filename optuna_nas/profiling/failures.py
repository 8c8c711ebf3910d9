"""ONNX Runtime's exceptions as one line that says what is wrong with a model and what to do."""

from __future__ import annotations

import os
import re

from optuna_nas.errors import ProfilingError

Model = str | os.PathLike[str] | bytes

_LONGEST = 300  # characters of the runtime's own words

# Codes, paths and C++ signatures, which say nothing about the model.
_NOISE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : "
    r"|Load model from .*? failed: ?"
    r"|Error in execution: "
    r"|\S+\.(?:cc|h|cpp):\d+ .*?\)(?: const)? "
)

# What the runtime says, what that means for the model, and the cure; the first that fits.
_CASES = (
    (
        r"Protobuf parsing failed|No graph was found|does not have a graph|INVALID_PROTOBUF",
        "is no ONNX model, or only a part of one",
        "export the model again",
    ),
    (
        r"External data|external data|cannot get file size",
        "lacks its file of weights",
        "put that file beside the model, or export with the weights inside",
    ),
    (
        r"not a registered function/op|NOT_IMPLEMENTED|Could not find an implementation"
        r"|No Op registered",
        "has an operator that this ONNX Runtime or this provider lacks",
        "use a newer ONNX Runtime or another provider, or export without that operator",
    ),
    (
        r"opset|Unsupported model IR version",
        "was written for a newer ONNX Runtime than this",
        "use a newer ONNX Runtime, or export with an earlier opset",
    ),
    (
        r"Failed to allocate|bad_alloc|[Uu]nable to allocate|out of memory|MemoryError",
        "needs more memory than there is",
        "make the batch, the input or the network smaller",
    ),
)


def model_name(model: Model) -> str:
    """How messages call a model: its path, or its size."""
    return f"a model of {len(model)} bytes" if isinstance(model, bytes) else os.fspath(model)


def failure(model: Model, error: Exception, *, action: str) -> ProfilingError:
    """What ONNX Runtime raised over a model, as one line.

    Args:
        model: The model.
        error: ONNX Runtime's exceptions share no public base.
        action: What it could not do: ``"load"`` or ``"run"``.
    """
    said = " ".join(f"{type(error).__name__ if not str(error) else ''}{error}".split())
    words = _NOISE.sub("", said).rstrip(".") or said
    if len(words) > _LONGEST:
        words = words[:_LONGEST] + "..."
    for pattern, meaning, cure in _CASES:
        if re.search(pattern, f"{type(error).__name__} {said}"):
            return ProfilingError(f"{model_name(model)} {meaning} ({words}); {cure}")
    cure = "export the model again" if action == "load" else "check its inputs"
    return ProfilingError(f"ONNX Runtime can't {action} {model_name(model)}: {words}; {cure}")
