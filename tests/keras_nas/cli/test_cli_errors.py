"""Bad input is one line on standard error and exit code 2, a failed run 1; never a traceback."""

from __future__ import annotations

import errno
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

from keras_nas import results, search
from keras_nas.cli import app
from keras_nas.metrics import metrics_named
from keras_nas.run_folder import RunFolder


@pytest.fixture(autouse=True)
def _loudness() -> Iterator[None]:
    """The command silences libraries for its process; here that process goes on."""
    before = optuna.logging.get_verbosity(), logging.getLogger("keras_nas").level
    yield
    optuna.logging.set_verbosity(before[0])
    logging.getLogger("keras_nas").setLevel(before[1])


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and standard error of a command."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stderr


def refuse(pattern: str, *arguments: object, code: int = 2) -> None:
    exit_code, error = run("search", "--quiet", *arguments)
    assert exit_code == code, error
    assert "Traceback" not in error
    (line,) = error.strip().splitlines()
    assert line.startswith("keras-nas: ")
    assert re.search(pattern, line), line


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_data(out: Path, tmp_path: Path) -> None:
    refuse("did you mean digits", "--data", "digit", "--out", out)
    refuse("does not exist", "--data", tmp_path / "no.npz", "--out", out)
    (tmp_path / "empty.npz").touch()
    refuse("is empty", "--data", tmp_path / "empty.npz", "--out", out)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    refuse("no column 'y'; it has: a, b", "--data", tmp_path / "t.csv", "--target", "y")
    x = np.zeros((30, 4))
    np.savez(tmp_path / "one.npz", x_train=x, y_train=np.zeros(30, int))
    refuse("one class only", "--data", tmp_path / "one.npz", "--out", out)
    x[3, 1] = np.inf
    np.savez(tmp_path / "inf.npz", x_train=x, y_train=np.arange(30) % 2)
    refuse("NaN or infinite", "--data", tmp_path / "inf.npz", "--out", out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("pattern", "arguments"),
    [
        ("unknown sampler 'evolve'.*known are evolution, predictor", ["--sampler", "evolve"]),
        ("unknown pruner 'x'", ["--pruner", "x"]),
        ("pruner median needs a single objective", ["--pruner", "median"]),
        ("unknown objective 'speed'", ["--objectives", "accuracy,speed"]),
        ("unknown space 'x'", ["--space", "x"]),
        ("tabular_mlp is for tables", ["--space", "tabular_mlp"]),
        ("isolation must be", ["--isolation", "thread"]),
        ("trials must be 1 or more", ["--trials", "0"]),
        ("timeout must be above 0", ["--timeout", "-1"]),
        ("max_latency_ms must be above 0", ["--max-latency-ms", "0"]),
        ("learning_rate must be above 0", ["--learning-rate", "0"]),
        ("seed must be an integer", ["--seed", "-1"]),
        ("target names a column of a .csv", ["--target", "y"]),
    ],
)
def test_options(out: Path, pattern: str, arguments: list[str]) -> None:
    refuse(pattern, *arguments, "--out", out)


def test_an_option_of_the_wrong_type() -> None:
    code, error = run("search", "--trials", "many")
    assert code == 2
    assert "Traceback" not in error


def test_storage(out: Path) -> None:
    refuse("can't be used: .*check the URL", "--storage", "sqlite:////nowhere/s.db", "--out", out)
    refuse("can't be made", "--out", "/proc/nowhere")


def test_two_searches_in_one_folder(out: Path) -> None:
    with RunFolder(out).locked():
        refuse("another search is at work", "--out", out)


def test_another_space_in_the_same_study(out: Path) -> None:
    study = RunFolder(out).study(
        "digits-chain_cnn",
        metrics=metrics_named(["accuracy", "latency_ms"]),
        pruner=optuna.pruners.NopPruner(),
    )
    study.set_user_attr(
        "optuna_nas:space", {"name": "other", "fingerprint": "x" * 64, "json": "{}"}
    )
    refuse("was made with the space 'other'", "--out", out)


def test_other_objectives_in_the_same_study(out: Path) -> None:
    RunFolder(out).study(
        "digits-chain_cnn", metrics=metrics_named(["loss"]), pruner=optuna.pruners.NopPruner()
    )
    refuse("has the directions minimize, but the objectives accuracy, latency_ms", "--out", out)


@pytest.fixture
def finished_search(out: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A search whose trials are all there: only the files are to be written."""
    from keras_nas.data import load
    from keras_nas.search import make_objective
    from keras_nas.settings import SearchSettings
    from optuna_nas.spaces import chain_cnn

    arguments = ["--trials", 2, "--out", out]
    settings = SearchSettings(trials=2)
    objective = make_objective(settings, chain_cnn(), load("digits"))
    study = RunFolder(out).study(
        "digits-chain_cnn", metrics=objective.metrics, pruner=optuna.pruners.NopPruner()
    )
    objective.check(study)
    for number in range(2):
        trial = study.ask()
        objective.space.suggest(trial)
        study.tell(trial, [0.5 + number / 10, 1.0])
    monkeypatch.setattr(search, "finish", lambda *_, **__: [])
    return arguments


def test_a_full_disk_while_writing_loses_nothing(
    finished_search: list[Any], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(results, "write_report", full)
        pattern = "results can't be written .*No space left on device; the study is intact"
        refuse(pattern, *finished_search, code=1)
    assert len(RunFolder(out).existing_study().trials) == 2
    code, error = run("search", "--quiet", *finished_search)
    assert (code, error) == (0, "")
    assert (out / "report.html").exists()
    code, _ = run("report", out)
    assert code == 0


def test_a_search_that_finds_nothing(out: Path) -> None:
    study = RunFolder(out).study(
        "digits-chain_cnn",
        metrics=metrics_named(["accuracy", "latency_ms"]),
        pruner=optuna.pruners.NopPruner(),
    )
    for _ in range(2):
        trial = study.ask()
        trial.set_user_attr("optuna_nas:failure", "ValueError: no luck")
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    pattern = "none of 2 candidates gave a model: 2 failed, 2 of them with: ValueError: no luck"
    refuse(pattern, "--trials", 2, "--out", out, code=1)


def test_unexpected_errors_are_one_line_too(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(search, "load", broken)
    refuse(r"ZeroDivisionError: division by zero \(--traceback shows", "--out", out, code=1)
    result = CliRunner().invoke(app, ["search", "--traceback", "--out", str(out)])
    assert isinstance(result.exception, ZeroDivisionError)


def test_looking_at_what_is_no_run(tmp_path: Path) -> None:
    for arguments in (["report", tmp_path], ["export", tmp_path, 0], ["report", tmp_path / "no"]):
        code, error = run(*arguments)
        assert code == 2
        assert "is no folder" in error


def test_export_of_a_trial_that_is_not_there(finished_search: list[Any], out: Path) -> None:
    assert run("search", "--quiet", *finished_search)[0] == 0
    code, error = run("export", out, 7)
    assert code == 2
    assert "has no trial 7; it has 0 to 1" in error


def test_describe(tmp_path: Path) -> None:
    drawing = tmp_path / "space.svg"
    result = CliRunner().invoke(app, ["describe", "--data", "iris", "--draw", str(drawing)])
    assert result.exit_code == 0
    assert "tabular_mlp: inputs of 4, 3 classes." in result.stdout
    assert "2,603,568 networks" in result.stdout
    assert "block/depth: 0 to 4 copies" in result.stdout
    assert drawing.read_text(encoding="utf-8").startswith("<svg")


def test_help_is_quick_and_imports_no_framework() -> None:
    script = (
        "import sys; sys.argv = ['keras-nas', 'search', '--help']\n"
        "import keras_nas.cli\n"
        "try: keras_nas.cli.main()\n"
        "finally: print([m for m in ('optuna', 'numpy', 'tensorflow') if m in sys.modules])"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - start < 5  # under any load; about 0.3 s otherwise
    assert "keras-nas search --data photos/ --max-latency-ms 2" in done.stdout
    assert done.stdout.strip().endswith("[]")
