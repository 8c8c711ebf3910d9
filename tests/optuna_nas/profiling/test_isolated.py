from __future__ import annotations

import platform
import subprocess
import sys

import numpy as np
import pytest

from optuna_nas.errors import ProfilingError
from optuna_nas.export import onnx_bytes
from optuna_nas.profiling import isolated, profile_onnx
from optuna_nas.profiling.memory import with_peak_memory
from tests.optuna_nas.profiling.conftest import network

LINUX = platform.system() == "Linux"


def test_a_fresh_process_measures_peak_memory():
    wide = onnx_bytes(network(512, input_shape=(64, 64, 3)))  # 8 MiB of activations
    profile = profile_onnx(wide, isolate=True, budget_seconds=0.05)
    if LINUX:
        assert 8 * 2**20 < profile.peak_memory_bytes < 200 * 2**20
    assert profile.ratio_to_anchor > 0


def test_errors_come_back():
    with pytest.raises(ProfilingError, match="a model of 3 bytes is no ONNX model"):
        profile_onnx(b"abc", isolate=True)


def test_inputs_travel(model):
    inputs = {"input": np.ones((1, 8, 8, 3), np.float32)}
    assert profile_onnx(model, isolate=True, inputs=inputs, budget_seconds=0.05).runs > 0


def test_a_process_that_dies_is_a_clear_error(model, monkeypatch):
    def died(*_arguments, **_options):
        return subprocess.CompletedProcess([], -9, b"", b"some noise\n")

    monkeypatch.setattr(isolated.subprocess, "run", died)
    with pytest.raises(ProfilingError, match=r"exit code -9 .*want of memory.*some noise"):
        profile_onnx(model, isolate=True)


def test_a_process_that_hangs_is_given_up(model):
    with pytest.raises(ProfilingError, match=r"timeout_seconds=0\.1"):
        profile_onnx(model, isolate=True, timeout_seconds=0.1)


@pytest.mark.skipif(not LINUX, reason="the high-water mark is Linux's")
def test_peak_memory_is_that_of_the_action_alone():
    np.ones(2**23).sum()  # an earlier peak of 64 MiB
    size = 2**21
    _, peak = with_peak_memory(lambda: np.ones(size).sum())
    assert peak == pytest.approx(8 * size, rel=0.2)


def test_the_package_imports_neither_onnx_nor_keras():
    code = (
        "import sys, optuna_nas.profiling, optuna_nas.export; "
        "print(*{'onnx', 'onnxruntime', 'keras', 'tensorflow', 'scipy'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""
