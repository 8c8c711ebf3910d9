"""This interpreter stands in for the device: isolated from this package, its path and `onnx`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from optuna_nas.errors import ProfilingError
from optuna_nas.profiling import (
    ANCHOR_NAME,
    device_program,
    profile_many_remote,
    profile_onnx,
    profile_remote,
    read_profiles,
)
from optuna_nas.profiling.__main__ import main
from optuna_nas.profiling.counts import count
from tests.optuna_nas.profiling import small_models

QUICK = {"budget_seconds": 0.05, "warmup": 2}

WITHOUT_THIS_PACKAGE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'onnx', 'optuna', 'scipy', 'keras_nas'}:
            raise ImportError(name + ' is not installed here')
sys.meta_path.insert(0, Hidden())
sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in repr(f)]
exec(sys.stdin.read())
"""

DEVICE = [sys.executable, "-I", "-c", WITHOUT_THIS_PACKAGE]


def test_a_device_measures_as_this_machine_does(model):
    remote = profile_remote(model, command=DEVICE, operations=True, **QUICK)
    local = profile_onnx(model, **QUICK)
    remote.require_comparable(local)  # it is this machine
    assert remote.provenance["anchor"] == ANCHOR_NAME
    assert remote.provenance["input_shapes"] == {"input": [1, 8, 8, 3]}
    assert remote.size_bytes == len(model)
    assert remote.ratio_to_anchor > 0
    assert {"Conv", "Gemm"} <= set(remote.operations_by_kind())
    assert (remote.params, remote.macs) == count(model, {"input": [1, 8, 8, 3]})


def test_options_and_examples_travel(free_batch):
    one, two = profile_many_remote(
        [free_batch] * 2,
        command=DEVICE,
        batch=[1, 2],
        inputs={"input": np.ones((3, 8, 8, 3), np.float32)},
        threads=2,
        **QUICK,
    )
    assert one.provenance["batch"] == two.provenance["batch"] == 3
    assert one.provenance["threads"] == 2
    assert profile_many_remote([], command=DEVICE) == []


def test_a_device_that_no_command_reaches(model, tmp_path: Path):
    path = tmp_path / "measure.py"
    path.write_text(device_program([model], **QUICK))
    output = subprocess.run(
        [sys.executable, "-I", path], capture_output=True, text=True, check=True
    ).stdout
    (profile,) = read_profiles("Welcome to Device 1\n" + output)
    assert profile.size_bytes == len(model)


def test_what_goes_wrong_on_the_device_comes_back():
    with pytest.raises(ProfilingError, match=r"axis 1 .*'width'.* of input 'x': no fixed size"):
        profile_remote(small_models.elementwise(shape=["n", "width"]), command=DEVICE, **QUICK)


def test_a_device_without_onnxruntime(model):
    command = [*DEVICE[:3], WITHOUT_THIS_PACKAGE.replace("'scipy'", "'onnxruntime'")]
    with pytest.raises(ProfilingError, match=r"exit code 1: the device lacks a package"):
        profile_remote(model, command=command)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["no-such-command-here", "-"], "can't be run"),
        ([sys.executable, "-c", "raise SystemExit('connection refused')"], "connection refused"),
        ([sys.executable, "-c", "print('hello')"], "expected profiles as JSON, got 'hello'"),
        ([sys.executable, "-c", "print([1])"], "expected profiles as JSON"),
        ([sys.executable, "-c", "pass"], "it said nothing"),
        ("ssh pi", "expected a list such as"),
        ([], "expected a list such as"),
    ],
)
def test_commands_that_fail(model, command, message):
    with pytest.raises(ProfilingError, match=message):
        profile_remote(model, command=command)


def test_a_device_that_hangs(model):
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(ProfilingError, match=r"timeout_seconds=0\.2"):
        profile_remote(model, command=command, timeout_seconds=0.2)


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(ProfilingError, match="there is no file"):
        profile_remote(tmp_path / "missing.onnx", command=DEVICE)


def test_the_command_measures_on_a_device(model, tmp_path: Path, capsys):
    path = tmp_path / "model.onnx"
    path.write_bytes(model)
    assert main([str(path), "--budget", "0.05", "--on", f"{sys.executable} -"]) == 0
    assert "ratio to anchor" in capsys.readouterr().out
    assert main([str(path), "--on", "no-such-command-here -"]) == 2
    assert "can't be run" in capsys.readouterr().err
