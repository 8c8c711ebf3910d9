"""A chief and two workers on this machine, one of which is killed in the middle of a trial."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

TRIALS = 8
SEARCH = '''
import os, pathlib, sys, time
import numpy as np
from keras_nas import OptunaTuner
from keras_nas._keras import keras

folder, me = pathlib.Path(sys.argv[1]), os.environ["KERASTUNER_TUNER_ID"]
x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
y = (x[:, 0] > 0).astype("int64")


def build(hp):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 500))])
    model.add(keras.layers.Dense(2, activation="softmax"))
    # Tracing takes longer than the training of networks this small.
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"], run_eagerly=True)
    return model


def wait_for(name):
    while not (folder / name).exists():
        time.sleep(0.1)


class Meeting(keras.callbacks.Callback):
    """Both workers are in the middle of a trial when one of them hangs."""

    def on_epoch_end(self, epoch, logs=None):
        (folder / f"{me} is training").touch()
        if me == "victim":
            wait_for("survivor is training")
            (folder / "draft").write_text(str(self.model.layers[0].units))
            (folder / "draft").rename(folder / "units of the victim")
            time.sleep(600)
        wait_for("units of the victim")


tuner = OptunaTuner(
    build, objective=["val_accuracy", "params"], max_trials=8, seed=0, patience=3.0,
    storage=f"sqlite:///{folder}/study.db", study_name="s", directory=folder,
)
tuner.search(x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=[Meeting()])
print(me, len(tuner.get_best_models(2)) if me != "chief" else "done", flush=True)
'''


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _start(script: Path, name: str, port: int) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
        "KERASTUNER_TUNER_ID": name,
        "OMP_NUM_THREADS": "1",
    }
    with (script.parent / f"{name}.txt").open("w") as output:
        return subprocess.Popen(
            [sys.executable, str(script), str(script.parent)],
            env=environment, stdout=output, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip


def _wait_for(path: Path, processes: list[subprocess.Popen[str]], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"no {path.name}"
        assert all(process.poll() is None for process in processes), _outputs(path.parent)
        time.sleep(0.1)


def _outputs(folder: Path) -> str:
    return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in folder.glob("*.txt"))


@pytest.mark.slow
def test_a_killed_worker_loses_no_trial(tmp_path) -> None:
    script = tmp_path / "search.py"
    script.write_text(SEARCH)
    port = _free_port()
    processes = [_start(script, name, port) for name in ("chief", "victim", "survivor")]
    chief, victim, survivor = processes
    try:
        _wait_for(tmp_path / "units of the victim", processes)
        hanging = int((tmp_path / "units of the victim").read_text())
        victim.send_signal(signal.SIGKILL)
        assert survivor.wait(120) == 0, _outputs(tmp_path)
        assert chief.wait(60) == 0, _outputs(tmp_path)
    finally:
        for process in processes:
            process.kill()
            process.wait()

    study = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/study.db")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * TRIALS
    units = [trial.params["units"] for trial in study.trials]
    assert hanging in units
    assert len(set(units)) == TRIALS
    assert [t.values[1] for t in study.trials] == [u * 5 + (u + 1) * 2 for u in units]
    assert "survivor 2" in (tmp_path / "survivor.txt").read_text()
