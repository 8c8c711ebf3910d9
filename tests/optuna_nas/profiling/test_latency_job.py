from __future__ import annotations

import json
import subprocess
import sys

import pytest

from optuna_nas.errors import ProfilingError
from optuna_nas.profiling import LatencyJob, LatencyTable, time_models
from optuna_nas.profiling.timing import COMPANY
from optuna_nas.spaces import chain_cnn

JOB = LatencyJob(chain_cnn(max_blocks=1), networks=2, held_out=2, samples=0)


def test_another_device_measures_with_the_exported_script(tmp_path):
    folder = JOB.export(tmp_path / "job")
    assert LatencyJob.load(folder) == JOB
    with pytest.raises(ProfilingError, match=r"run measure\.py on the device"):
        LatencyTable.from_measurements(folder)
    done = subprocess.run(
        [sys.executable, "measure.py", "--passes", "1", "--seconds", "0.001"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "wrote" in done.stdout
    state = json.loads((folder / "measurements.json").read_text())
    assert set(state["times_ms"]) == set(JOB.models)
    assert all(ms > 0 for ms in state["times_ms"].values())
    table = LatencyTable.from_measurements(folder)
    assert table.quality is not None
    assert table.provenance["threads"] == 1
    assert table.provenance["passes"] == 1


def test_the_exported_script_needs_nothing_of_this_project(tmp_path):
    folder = JOB.export(tmp_path / "job")
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        assert name.split('.')[0] not in ('onnx', 'optuna', 'scipy', 'keras'), name\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"sys.path.insert(0, {str(folder / 'measuring.zip')!r})\n"
        "import optuna_nas.profiling.on_device as module\n"
        "assert 'measuring.zip' in module.__file__, module.__file__\n"
        "from optuna_nas.profiling.anchor import anchor_bytes\n"
        "assert len(anchor_bytes()) > 1000\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ProfilingError, match="is not empty; choose a new one"):
        JOB.export(tmp_path)
    with pytest.raises(ProfilingError, match="holds no exported latency job"):
        LatencyJob.load(tmp_path)


def test_every_model_is_timed_in_every_pass():
    asked: list[str] = []
    model = JOB.models["one layer of nothing"]()
    names = [str(k) for k in range(COMPANY + 2)]

    def give(name: str) -> bytes:
        asked.append(name)
        return model

    said: list[str] = []
    times = time_models(
        {name: (lambda name=name: give(name)) for name in names},
        seconds=0.0001,
        passes=2,
        progress=said.append,
    )
    assert sorted(asked) == sorted(2 * names)
    assert set(times.ms) == set(names)
    assert all(0 < ms < 1e3 for ms in times.ms.values())
    assert said[-1] == f"pass 2 of 2: {len(names)} of {len(names)} models"
    assert times.provenance["anchor_ms"] > 0


@pytest.mark.parametrize(("name", "value"), [("threads", 0), ("passes", 0), ("seconds", 0.0)])
def test_bad_settings_are_refused(name, value):
    with pytest.raises(ProfilingError, match=f"{name}: expected"):
        time_models({}, **{name: value})
