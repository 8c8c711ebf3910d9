from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import optuna
import pytest

from keras_nas.metrics import metrics_named
from keras_nas.run_folder import RunFolder, RunFolderError, StorageError
from optuna_nas.errors import NASError

METRICS = metrics_named(["accuracy", "latency_ms"])
PRUNER = optuna.pruners.NopPruner()


def test_a_study_is_made_and_found_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a" / "b")
    study = folder.study("mine", metrics=METRICS, pruner=PRUNER)
    study.add_trial(optuna.create_trial(values=[0.5, 1.0]))
    assert study.metric_names == ["accuracy", "latency_ms"]
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    again = folder.study("mine", metrics=METRICS, pruner=PRUNER)
    assert len(again.trials) == len(folder.existing_study().trials) == 1
    assert (tmp_path / "a" / "b" / "study.db").exists()


def test_only_one_search_at_a_time(tmp_path: Path) -> None:
    with RunFolder(tmp_path).locked(), pytest.raises(RunFolderError, match="another search"):  # noqa: SIM117
        with RunFolder(tmp_path).locked():
            pass
    with RunFolder(tmp_path).locked():  # released
        pass


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from keras_nas.run_folder import RunFolder\n"
        f"with RunFolder(pathlib.Path({str(tmp_path)!r})).locked():\n"
        "    print('locked', flush=True)\n"
        "    time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "locked\n"
    with pytest.raises(RunFolderError), RunFolder(tmp_path).locked():
        pass
    other.kill()
    other.wait()
    other.stdout.close()
    with RunFolder(tmp_path).locked():
        pass


def test_enqueued_trials_are_taken_once_by_several_threads(tmp_path: Path) -> None:
    study = RunFolder(tmp_path).study("mine", metrics=metrics_named(["loss"]), pruner=PRUNER)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    for number in range(30):
        study.enqueue_trial({"x": number})
    taken: Counter[int] = Counter()

    def objective(trial: optuna.Trial) -> float:
        taken[trial.suggest_int("x", 0, 100)] += 1
        return trial.suggest_float("y", 0, 1)

    study.optimize(objective, n_trials=30, n_jobs=3)
    assert taken == Counter(range(30))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match=r"can't be made: .*choose another with --out"):
        RunFolder(tmp_path / "file" / "run")


@pytest.mark.parametrize(
    "storage",
    [
        "sqlite:////nowhere/at/all/study.db",
        "not a url",
        "nosuchdatabase://user:secret@host/db",
        "sqlite:////dev/full",
    ],
)
def test_a_storage_that_cannot_be_used(tmp_path: Path, storage: str) -> None:
    folder = RunFolder(tmp_path, storage=storage)
    with pytest.raises(StorageError, match="can't be used: ") as caught:
        folder.study("mine", metrics=METRICS, pruner=PRUNER)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(NASError, match="can't be"), RunFolder(tmp_path).locked():
        pass


def test_a_damaged_database(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageError, match="not a database"):
        RunFolder(tmp_path).study("mine", metrics=METRICS, pruner=PRUNER)


def test_no_study_yet(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no study: run keras-nas search first"):
        RunFolder(tmp_path).existing_study()
    RunFolder(tmp_path).study("mine", metrics=METRICS, pruner=PRUNER)
    with pytest.raises(StorageError, match="has no study 'other'; it has mine"):
        RunFolder(tmp_path).existing_study("other")


def test_json(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_json("a.json", {"x": [1, "ü"]})
    assert folder.read_json("a.json") == {"x": [1, "ü"]}
    assert folder.read_json("b.json") is None
    (tmp_path / "b.json").write_text("{")
    assert folder.read_json("b.json") is None


@pytest.mark.parametrize("url", ["redis://localhost", "nonsense", "nonsense://x"])
def test_a_storage_of_no_use(url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="check the URL"):
        RunFolder(tmp_path, storage=url).study("mine", metrics=METRICS, pruner=PRUNER)
