"""A measurement in a process of its own: survives crashes, and can tell the peak memory.

The child is `python -m optuna_nas.profiling.isolated`; it reads a pickled request from its
standard input and writes one JSON line.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from optuna_nas.errors import NASError, ProfilingError
from optuna_nas.profiling.anchor import anchor_bytes
from optuna_nas.profiling.latency import LatencyProfile
from optuna_nas.profiling.measure import profile_many
from optuna_nas.profiling.memory import with_peak_memory
from optuna_nas.profiling.session import Model, load_model, model_name


def profile_in_child(
    model: Model, options: Mapping[str, Any], *, timeout_seconds: float
) -> LatencyProfile:
    """Runs `profile_onnx` with ``options`` in a fresh process.

    Raises:
        ProfilingError: The measurement failed there, the process died, or it took too long.
    """
    request = pickle.dumps((model if isinstance(model, bytes) else os.fspath(model), dict(options)))
    paths = [path for path in sys.path if path]
    try:
        child = subprocess.run(
            [sys.executable, "-m", "optuna_nas.profiling.isolated"],
            input=request,
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
    except subprocess.TimeoutExpired:
        raise ProfilingError(
            f"measuring {model_name(model)} took more than timeout_seconds={timeout_seconds:g}; "
            "raise it, or limit the size of the network"
        ) from None
    answer = child.stdout.decode(errors="replace").strip().splitlines()
    if child.returncode != 0 or not answer:
        noise = child.stderr.decode(errors="replace").strip().splitlines()
        raise ProfilingError(
            f"the process measuring {model_name(model)} died with exit code {child.returncode}"
            f"{_cause(child.returncode)}: {noise[-1] if noise else 'it said nothing'}",
            child.returncode,
        )
    state = json.loads(answer[-1])
    if "error" in state:
        raise ProfilingError(state["error"])
    return LatencyProfile.from_dict(state)


def _cause(code: int) -> str:
    return " (killed, probably for want of memory)" if code in (-9, 137) else ""


def _answer(model: Model, options: dict[str, Any]) -> dict[str, Any]:
    # A first network pages in the library's code and sets up its pools: not the model's memory.
    load_model(anchor_bytes()).run()
    keys = ("batch", "threads", "provider", "inputs")
    # Alone and first: the anchor and what timing keeps would count as the model's memory.
    loaded, peak = with_peak_memory(lambda: load_model(model, **{k: options[k] for k in keys}))
    del loaded
    (profile,) = profile_many([model], **options)
    return replace(profile, peak_memory_bytes=peak).to_dict()


def main() -> None:
    """The child's side."""
    model, options = pickle.load(sys.stdin.buffer)
    try:
        answer = _answer(model, options)
    except NASError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
