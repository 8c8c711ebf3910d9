from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from optuna_nas.profiling import LatencyProfile
from optuna_nas.profiling.__main__ import main


def test_table(tmp_path: Path, model, capsys):
    path = tmp_path / "model.onnx"
    path.write_bytes(model)
    assert main([str(path), "--budget", "0.05"]) == 0
    text = capsys.readouterr().out
    for word in ("median", "95 % CI", "p90", "ratio to anchor", "ONNX Runtime", "Conv", "Gemm"):
        assert word in text


def test_json_of_several(tmp_path: Path, model, capsys):
    paths = [tmp_path / name for name in ("a.onnx", "b.onnx")]
    for path in paths:
        path.write_bytes(model)
    assert main([*map(str, paths), "--budget", "0.05", "--json", "--no-operations"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert list(state) == list(map(str, paths))
    assert LatencyProfile.from_dict(state[str(paths[0])]).operations == ()


def test_memory(tmp_path: Path, model, capsys):
    path = tmp_path / "model.onnx"
    path.write_bytes(model)
    assert main([str(path), "--budget", "0.05", "--memory"]) == 0
    assert "median" in capsys.readouterr().out


def test_errors_are_one_line(tmp_path: Path, capsys):
    assert main([str(tmp_path / "missing.onnx")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: model: there is no file")
    assert captured.err.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path, model):
    path = tmp_path / "model.onnx"
    path.write_bytes(model)
    command = [sys.executable, "-m", "optuna_nas.profiling", str(path), "--budget", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
