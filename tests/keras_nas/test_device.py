"""Latencies of another device in a search; this interpreter stands in for the device."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from keras_nas import NASObjective, jobs
from keras_nas.binding import StudyMismatchError, anchor_of
from keras_nas.data import load
from keras_nas.settings import SearchSettings
from optuna_nas._optuna import FAILURE, record_of
from optuna_nas.errors import ProfilingError
from optuna_nas.export import Preprocessing, write_onnx
from optuna_nas.profiling import LatencyPredictor, LatencyProfile, LatencyTable
from optuna_nas.profiling.operation_times import OperationTimes
from optuna_nas.spaces import tabular_mlp

MARK = "import os, sys; os.environ['DEVICE'] = '1'; exec(sys.stdin.read())"
DEVICE = [sys.executable, "-c", MARK]
BROKEN = [sys.executable, "-c", "raise SystemExit('no route to host')"]


def test_jobs_measure_on_the_device(graph_of_iris, tmp_path: Path):
    before = Preprocessing().to_dict()
    profile = LatencyProfile.from_dict(
        jobs.time_graph(None, graph_of_iris.to_json(), before, 0.1, 0.02, DEVICE)
    )
    assert profile.anchor_reference_ms == 0.1
    path = write_onnx(graph_of_iris, tmp_path / "model.onnx")
    (state,) = jobs.time_files(None, str(tmp_path), [str(path)], 0.1, 0.02, DEVICE)
    assert LatencyProfile.from_dict(state).macs == graph_of_iris.macs
    for job, arguments in (
        (jobs.time_graph, (graph_of_iris.to_json(), before, 0.1, 0.02)),
        (jobs.time_files, (str(tmp_path), [str(path)], 0.1, 0.02)),
        (jobs.time_anchor, ()),
    ):
        with pytest.raises(ProfilingError, match="no route to host"):
            job(None, *arguments, BROKEN)


@pytest.fixture
def graph_of_iris():
    space = tabular_mlp(input_shape=(4,), classes=3)
    return space.graph(space.sample(np.random.default_rng(0)))


def test_a_search_takes_the_devices_latency(tmp_path: Path):
    data = load("iris")
    space = tabular_mlp(input_shape=data.input_shape, classes=data.classes)
    options = {"isolation": "none", "epochs": 1, "latency_seconds": 0.02}
    with NASObjective(space, data, device=DEVICE, **options) as objective:
        study = optuna.create_study(directions=objective.directions)
        study.optimize(objective, n_trials=1)
        (trial,) = study.trials
        assert FAILURE not in trial.user_attrs
        assert record_of(trial).latency_ms == trial.values[1] > 0
    with (
        NASObjective(space, data, **options) as other,
        pytest.raises(StudyMismatchError, match="device"),
    ):
        study.optimize(other, n_trials=1)


def test_the_setting_is_a_command_line():
    assert SearchSettings(device="ssh pi python3 -").to_dict()["device"] == "ssh pi python3 -"


def predictor() -> LatencyPredictor:
    return LatencyPredictor(0.5, 0.0, 1.0, 0.0, {}, {"cpu": "a telephone"})


def test_a_table_predicts_where_nothing_is_measured():
    data = load("iris")
    space = tabular_mlp(input_shape=data.input_shape, classes=data.classes)
    options = {"isolation": "none", "epochs": 1}
    with NASObjective(space, data, latency_table=predictor(), **options) as objective:
        study = optuna.create_study(directions=objective.directions)
        study.optimize(objective, n_trials=2)
        for trial in study.trials:
            graph = space.graph(space.genotype(trial.params))
            assert record_of(trial).latency is None
            assert record_of(trial).latency_ms == trial.values[1] == predictor().predict(graph)
        assert anchor_of(study) is None
        facts = study.user_attrs["optuna_nas:environment"]
        assert facts["latencies of trials"] == "predicted by a table of a telephone"
    another = replace(predictor(), offset_ms=0.6)
    with (
        NASObjective(space, data, latency_table=another, **options) as other,
        pytest.raises(StudyMismatchError, match="latency_table"),
    ):
        study.optimize(other, n_trials=1)


def test_a_predicted_limit_rejects_before_the_first_epoch_and_sizes_are_still_measured():
    data = load("iris")
    space = tabular_mlp(input_shape=data.input_shape, classes=data.classes)
    with NASObjective(
        space,
        data,
        objectives=["accuracy", "size_bytes"],
        latency_table=predictor(),
        max_latency_ms=0.4,
        isolation="none",
        latency_seconds=0.02,
    ) as objective:
        study = optuna.create_study(directions=objective.directions)
        study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert not record_of(trial).curve
    (violation,) = trial.constraints.values()
    assert violation > 0
    assert trial.values[1] > 100


def test_what_a_table_can_not_predict_costs_its_trial():
    data = load("iris")
    space = tabular_mlp(input_shape=data.input_shape, classes=data.classes)
    nothing = LatencyTable(OperationTimes({}), 0.0, 1.0, 0.0)
    with NASObjective(space, data, latency_table=nothing, isolation="none") as objective:
        study = optuna.create_study(directions=objective.directions)
        study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert "no operation like" in trial.user_attrs[FAILURE]
