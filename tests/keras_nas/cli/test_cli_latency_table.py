from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keras_nas.cli import app
from optuna_nas.profiling import LatencyTable

SMALL = ["--data", "iris", "--networks", "4", "--held-out", "3", "--samples", "5"]


def command(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["latency-table", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


def test_this_machine(tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    code, text = command(out, *SMALL, "--seconds", "0.001")
    assert code == 0
    assert "on 3 networks held out: Kendall tau" in text
    table = LatencyTable.load(out)
    assert table.space is not None
    assert table.space.name == "tabular_mlp"


def test_another_device_measures_a_folder(tmp_path: Path) -> None:
    out, job = tmp_path / "table.json", tmp_path / "job"
    code, text = command(out, *SMALL, "--job", job)
    assert (code, out.exists()) == (0, False)
    assert "python measure.py --seconds 0.04 --threads 1" in text
    code, text = command(out, "--job", job)
    assert code == 2
    assert "bring back the file" in text
    script = [sys.executable, "measure.py", "--seconds", "0.001", "--passes", "1"]
    subprocess.run(script, cwd=job, check=True, capture_output=True)
    code, text = command(out, "--job", job)
    assert code == 0
    assert "operations of tabular_mlp on" in text
    assert LatencyTable.load(out).quality is not None
    code, text = command(out, "--job", job, "--space", "chain_cnn")
    assert code == 2
    assert "was made for tabular_mlp" in text


def test_a_file_that_can_not_be_written_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "missing" / "table.json"):
        code, text = command(out, *SMALL)
        assert code == 2
        assert "OUT: expected a file in a folder that is there" in text


@pytest.mark.parametrize("option", ["--networks", "--held-out", "--samples"])
def test_negative_numbers_are_usage_errors(option: str, tmp_path: Path) -> None:
    code, text = command(tmp_path / "table.json", option, "-1")
    assert code == 2
    assert option in text
