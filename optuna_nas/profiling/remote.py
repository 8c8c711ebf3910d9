"""Measuring on another device, reached by a command of the user's own.

The device needs Python 3.10, NumPy and ONNX Runtime, neither this package nor `onnx`. What it gets
is one Python program that holds the model, the anchor network and the very modules that measure
here, so that a Raspberry Pi's numbers are found as a workstation's are. The program is written to
the command's standard input and answers with one line of JSON::

    profile_remote("model.onnx", command=["ssh", "pi", "python3", "-"])

Where no command reaches the device, `device_program` gives the text, to be carried there as a file
and run by hand; `read_profiles` reads what it printed.
"""

from __future__ import annotations

import base64
import io
import pickle
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna_nas.errors import ProfilingError
from optuna_nas.profiling import anchor
from optuna_nas.profiling.counts import count
from optuna_nas.profiling.failures import Model, model_name
from optuna_nas.profiling.isolated import read_answer
from optuna_nas.profiling.latency import LatencyProfile

_MODULES = (
    "counts", "energy", "environment", "estimates", "failures", "inputs", "isolated", "latency",
    "measure", "memory", "operations", "rounds", "session",
)  # fmt: skip
"""What measures, without what writes or compares models."""

_PROGRAM = '''\
"""Measures models with ONNX Runtime on this device; made by optuna_nas.profiling.remote."""
import base64, json, os, pickle, sys, tempfile

if sys.version_info < (3, 10):
    sys.exit("the device has Python %d.%d, measuring needs 3.10" % sys.version_info[:2])
try:
    import numpy, onnxruntime
except ImportError as error:
    sys.exit("the device lacks a package (%s): pip install onnxruntime numpy" % error)
PACKAGE = "{package}"
REQUEST = "{request}"
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "measuring.zip")
    with open(path, "wb") as file:
        file.write(base64.b64decode(PACKAGE))
    sys.path.insert(0, path)
    from optuna_nas.profiling.isolated import answer

    models, options = pickle.loads(base64.b64decode(REQUEST))
    print(answer(models, options))
'''


def profile_remote(
    model: Model,
    *,
    command: Sequence[str],
    timeout_seconds: float = 600.0,
    **options: Any,
) -> LatencyProfile:
    """Measures a model on the device that a command reaches.

    Args:
        model: Path of an .onnx file on this machine, or its bytes.
        command: Runs a Python program that it reads from its standard input on the device:
            ``["ssh", "pi", "python3", "-"]``, ``["docker", "run", "-i", "image", "python", "-"]``.
        timeout_seconds: Give up after this long.
        **options: As for `profile_onnx`, without ``isolate``.

    Returns:
        The profile; its provenance is the device's.

    Raises:
        ProfilingError: The command fails or is not there, the device lacks a package, it takes
            too long, or the model can't be measured there.
    """
    (profile,) = profile_many_remote(
        [model], command=command, timeout_seconds=timeout_seconds, **options
    )
    return profile


def profile_many_remote(
    models: Sequence[Model],
    *,
    command: Sequence[str],
    timeout_seconds: float = 600.0,
    **options: Any,
) -> list[LatencyProfile]:
    """As `profile_remote`, several models side by side; see `profile_many`."""
    if isinstance(command, str) or not command:
        raise ProfilingError(
            f"command: expected a list such as ['ssh', 'pi', 'python3', '-'], got {command!r}",
            command,
        )
    if not models:
        return []
    program = device_program(models, **options)
    told = " ".join(command)
    try:
        done = subprocess.run(
            list(command),
            input=program.encode(),
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProfilingError(
            f"{told!r} took more than timeout_seconds={timeout_seconds:g}; raise it"
        ) from None
    except OSError as error:
        raise ProfilingError(f"command: {told!r} can't be run ({error})", command) from error
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0 or not output.strip():
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise ProfilingError(
            f"{told!r} ended with exit code {done.returncode}: "
            f"{words[-1] if words else 'it said nothing'}",
            done.returncode,
        )
    profiles = read_profiles(output)
    if not options.get("operations"):
        return profiles
    # What the device can't count without the onnx package.
    counts = [
        count(model, profile.provenance["input_shapes"])
        for model, profile in zip(models, profiles, strict=True)
    ]
    return [
        replace(profile, params=params, macs=macs)
        for profile, (params, macs) in zip(profiles, counts, strict=True)
    ]


def device_program(models: Sequence[Model], **options: Any) -> str:
    """The program for a device, as text: a file for ``python3``, or its standard input.

    Args:
        models: Measured side by side.
        **options: As for `profile_many`, without ``isolate``.

    Raises:
        ProfilingError: There is no such file.
        ExportError: The `onnx` package is missing here.
    """
    contents = []
    for model in models:
        if not isinstance(model, bytes):
            if not Path(model).is_file():
                raise ProfilingError(f"model: there is no file {model_name(model)!r}", model)
            model = Path(model).read_bytes()
        contents.append(model)
    return _PROGRAM.format(
        package=base64.b64encode(device_package()).decode(),
        request=base64.b64encode(pickle.dumps((contents, options), protocol=4)).decode(),
    )


def read_profiles(output: str) -> list[LatencyProfile]:
    """Profiles from what a device's program printed.

    Raises:
        ProfilingError: The measurement failed there, or this is not what it printed.
    """
    lines = output.strip().splitlines() or [""]
    return read_answer(lines[-1])


def device_package(more: Sequence[str] = ()) -> bytes:
    """The modules that measure, and ``more`` of this package, as a zip that Python imports from."""
    here = Path(__file__).parent
    files: Mapping[str, str] = {
        "optuna_nas/__init__.py": "",
        "optuna_nas/errors.py": (here.parent / "errors.py").read_text(encoding="utf-8"),
        "optuna_nas/profiling/__init__.py": "",
        "optuna_nas/profiling/anchor.py": _anchor_module(),
        **{
            f"optuna_nas/profiling/{name}.py": (here / f"{name}.py").read_text(encoding="utf-8")
            for name in (*_MODULES, *more)
        },
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in sorted(files.items()):
            package.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _anchor_module() -> str:
    """The anchor ready made: building it takes `onnx`, which the device need not have."""
    content = base64.b64encode(anchor.anchor_bytes()).decode()
    return (
        "import base64\n"
        f"ANCHOR_NAME = {anchor.ANCHOR_NAME!r}\n"
        f'def anchor_bytes():\n    return base64.b64decode("{content}")\n'
    )
