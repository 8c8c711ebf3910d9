"""Where a search ran, and with what: kept with its study."""

from __future__ import annotations

import shlex
import sys
from importlib import metadata
from typing import Any

from optuna_nas.profiling.environment import environment as machine

_PACKAGES = (
    "optuna-nas", "optuna", "numpy", "keras", "tensorflow", "tensorflow-cpu", "jax", "torch",
    "onnx", "onnxruntime",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Machine, versions of the packages that matter, and the command; imports none of them."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    command = shlex.join([sys.argv[0].rsplit("/", 1)[-1], *sys.argv[1:]])
    return {**machine(), "versions": versions, "command": command}
