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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna_nas.errors import NASError, ProfilingError
from optuna_nas.profiling.anchor import anchor_bytes
from optuna_nas.profiling.failures import Model, model_name
from optuna_nas.profiling.latency import LatencyProfile
from optuna_nas.profiling.measure import profile_many
from optuna_nas.profiling.memory import with_peak_memory
from optuna_nas.profiling.session import load_model


def profile_in_child(
    models: Sequence[Model], options: Mapping[str, Any], *, timeout_seconds: float
) -> list[LatencyProfile]:
    """Runs `profile_many` with ``options`` in a fresh process.

    Raises:
        ProfilingError: The measurement failed there, the process died, or it took too long.
    """
    sent = [model if isinstance(model, bytes) else os.fspath(model) for model in models]
    names = ", ".join(dict.fromkeys(map(model_name, models)))
    request = pickle.dumps((sent, dict(options)))
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
            f"measuring {names} took more than timeout_seconds={timeout_seconds:g}; "
            "raise it, or limit the size of the network"
        ) from None
    answer = child.stdout.decode(errors="replace").strip().splitlines()
    if child.returncode != 0 or not answer:
        noise = child.stderr.decode(errors="replace").strip().splitlines()
        raise ProfilingError(
            f"the process measuring {names} died with exit code {child.returncode}"
            f"{_cause(child.returncode)}: {noise[-1] if noise else 'it said nothing'}",
            child.returncode,
        )
    return read_answer(answer[-1])


def read_answer(line: str) -> list[LatencyProfile]:
    """What another process measured, from the line that `answer` makes.

    Raises:
        ProfilingError: The measurement failed there, or this is no such line.
    """
    try:
        state = json.loads(line)
        error = state.get("error")
        profiles = state.get("profiles", ())
    except (ValueError, AttributeError):
        raise ProfilingError(f"expected profiles as JSON, got {line[:200]!r}", line) from None
    if error is not None:
        raise ProfilingError(error)
    return [LatencyProfile.from_dict(profile) for profile in profiles]


def _cause(code: int) -> str:
    return " (killed, probably for want of memory)" if code in (-9, 137) else ""


def answer(models: Sequence[Model], options: Mapping[str, Any]) -> str:
    """The measuring process's side: profiles, or what went wrong, as one line of JSON.

    Args:
        models: Measured side by side; of a single one the peak memory is measured, too.
        options: Arguments of `profile_many`.
    """
    try:
        # A first network pages in the library's code and sets up its pools: not the model's memory.
        load_model(anchor_bytes()).run()
        peak = _peak_memory(models[0], options) if len(models) == 1 else None
        profiles = profile_many(models, **options)
    except NASError as error:
        return json.dumps({"error": str(error)})
    states = [replace(profile, peak_memory_bytes=peak).to_dict() for profile in profiles]
    return json.dumps({"profiles": states})


def _peak_memory(model: Model, options: Mapping[str, Any]) -> int | None:
    """Alone and first: the anchor and what timing keeps would count as the model's memory."""
    keys = {"threads", "provider", "inputs", "shapes"}.intersection(options)
    batch = options.get("batch", 1)
    chosen: dict[str, Any] = {key: options[key] for key in keys}
    chosen["batch"] = batch if isinstance(batch, int) else batch[0]
    return with_peak_memory(lambda: load_model(model, **chosen))[1]


def _first_to_go() -> None:
    """Where memory runs out, Linux shall end this process and not the one that waits for it."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def main() -> None:
    """The child's side."""
    _first_to_go()
    models, options = pickle.load(sys.stdin.buffer)
    print(answer(models, options))


if __name__ == "__main__":
    main()
