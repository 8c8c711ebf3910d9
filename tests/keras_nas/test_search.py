"""Whole searches: end to end, interrupted, killed, resumed. These train real networks."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import optuna
import pytest
from optuna.trial import TrialState

from keras_nas.data import load
from keras_nas.recovery import finished
from keras_nas.run_folder import RunFolder, RunFolderError
from keras_nas.search import Listener, SearchFailedError, _storage_at_work, search
from keras_nas.settings import SearchSettings, SettingsError
from optuna_nas._optuna import FAILURE, RETRY_OF, record_of

pytestmark = pytest.mark.slow


def command(out: Path, *arguments: object) -> list[str]:
    return [
        sys.executable, "-m", "keras_nas.cli", "search", "--data", "iris", "--epochs", "2",
        "--jobs", "1", "--out", str(out), "--finalists", "1", *map(str, arguments),
    ]  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def test_from_data_to_a_proved_model_and_on(tmp_path: Path) -> None:
    stages: list[str] = []
    counts: list[int] = []

    class Recorder(Listener):
        def stage(self, text: str) -> None:
            stages.append(text)

        def trials(
            self, _study: optuna.Study, done: int, _total: int, _deadline: float | None
        ) -> None:
            counts.append(done)

    settings = SearchSettings(
        data="digits", trials=3, epochs=2, finalists=2, jobs=2, out=str(tmp_path / "run"), seed=3
    )
    outcome = search(settings, listener=Recorder())
    assert counts[0] == 0
    assert counts[-1] == 3
    assert stages[0] == "reading digits"
    for name in (
        "study.db", "settings.json", "space.json", "leaderboard.csv", "pareto_front.csv",
        "pareto_front.json", "finalists.json", "best.json", "best.keras", "best.onnx",
        "report.html", "model_card.md",
    ):  # fmt: skip
        assert (tmp_path / "run" / name).stat().st_size > 0, name
    assert not (tmp_path / "run" / ".keras_nas_data").exists()
    assert outcome.best is not None
    assert outcome.best.delivery is not None
    proof = outcome.best.delivery.proof
    assert proof["max_abs_difference"] <= 1e-4
    assert proof["agreement"] == 1.0
    assert proof["images"] == 360
    assert proof["reload_difference"] <= 1e-6
    assert outcome.best.latency is not None
    best = json.loads((tmp_path / "run" / "best.json").read_text())
    assert best["trial"] == outcome.best.trial.number
    assert outcome.best.validation_accuracy == max(
        record_of(trial).accuracy or 0 for trial in outcome.study.trials
    )
    # The exported file alone, on raw pixels, has the accuracy that was reported.
    data = load("digits", seed=3)
    session = onnxruntime.InferenceSession(tmp_path / "run" / "best.onnx")
    (output,) = session.run(None, {session.get_inputs()[0].name: data.x_test})
    assert np.allclose(output.sum(axis=1), 1, atol=1e-5)
    assert np.mean(output.argmax(axis=1) == data.y_test) == outcome.best.delivery.test_accuracy

    # The same again does nothing anew; more trials go on.
    before = {f.trial.number: f.delivery for f in outcome.finalists}
    again = search(settings)
    assert len(again.study.trials) == 3
    assert {f.trial.number: f.delivery for f in again.finalists} == before
    more = search(SearchSettings(**{**settings.to_dict(), "trials": 4, "jobs": 1}))
    assert len(finished(more.study)) == 4
    assert not more.interrupted


def test_ctrl_c_ends_in_good_order(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        command(out, "--trials", 200), stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        wait_for_trials(out, 2)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "nothing finished is lost. Go on with: " in error
    assert "Traceback" not in error
    assert (out / "report.html").exists()
    assert (out / "leaderboard.csv").exists()
    study = RunFolder(out).existing_study()
    states = [trial.state for trial in study.trials]
    assert TrialState.RUNNING not in states
    assert states.count(TrialState.COMPLETE) >= 2
    interrupted = [t for t in study.trials if t.user_attrs.get(FAILURE) == "interrupted"]
    retries = [t for t in study.trials if t.state == TrialState.WAITING]
    assert [t.user_attrs[RETRY_OF] for t in retries] == [t.number for t in interrupted if t.params]


def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    rng = random.Random(0)
    kept: dict[int, list[float]] = {}
    for delay in (rng.uniform(0, 2), rng.uniform(0, 4)):
        process = subprocess.Popen(
            command(out, "--trials", 200, "--quiet"), stderr=subprocess.PIPE, env=environment()
        )
        wait_for_trials(out, len(kept) + 1)
        time.sleep(delay)
        process.kill()
        process.communicate()
        study = RunFolder(out).existing_study()
        now = {t.number: t.values for t in study.trials if t.state == TrialState.COMPLETE}
        assert {number: now.get(number) for number in kept} == kept
        kept = now
    total = len(kept) + 2
    done = subprocess.run(
        command(out, "--trials", total, "--quiet"), capture_output=True, text=True, check=False,
        timeout=120, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    study = RunFolder(out).existing_study()
    assert {number: study.trials[number].values for number in kept} == kept
    assert len(finished(study)) == total
    assert {t.state for t in study.trials} <= {TrialState.COMPLETE, TrialState.FAIL}


def wait_for_trials(out: Path, count: int, seconds: float = 90) -> None:
    """Wait until so many trials are complete."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if not (out / "settings.json").exists():  # the study is set up before
            continue
        trials = RunFolder(out).existing_study().trials
        if sum(trial.state == TrialState.COMPLETE for trial in trials) >= count:
            return
    raise AssertionError(f"no {count} trials within {seconds} s")


@pytest.mark.parametrize(
    "values", [{"trials": 0}, {"jobs": 0}, {"timeout": 0}, {"final_epochs": 0}, {"finalists": 0}]
)
def test_settings_are_checked(values: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=next(iter(values))):
        SearchSettings(**values)  # type: ignore[arg-type]


def test_settings_round_trip() -> None:
    settings = SearchSettings(objectives=("accuracy",), trials=7)
    again = SearchSettings.from_dict({**settings.to_dict(), "of_a_later_version": 1})
    assert again.to_dict() == settings.to_dict()


def test_a_folder_keeps_to_its_search(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"study": "iris-tabular_mlp"}')
    with pytest.raises(RunFolderError, match="holds the search iris-tabular_mlp, and this is wine"):
        search(SearchSettings(data="wine", out=str(tmp_path)))


def test_a_full_disk_is_found_behind_optunas_assertion() -> None:
    def end_a_trial() -> None:
        try:
            raise optuna.exceptions.StorageInternalError("commit") from OSError("No space left")
        finally:
            raise AssertionError("Should not reach.")

    with pytest.raises(SearchFailedError, match="go on: No space left;"), _storage_at_work():
        end_a_trial()
    with pytest.raises(AssertionError), _storage_at_work():
        raise AssertionError
