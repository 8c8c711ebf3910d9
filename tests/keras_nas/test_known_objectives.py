from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from keras_nas import NASObjective
from keras_nas.data import load
from keras_nas.known_objectives import known_objectives
from keras_nas.search import search
from keras_nas.settings import SearchSettings
from optuna_nas.errors import InfeasibleArchitectureError, NASError, ProfilingError
from optuna_nas.profiling import LatencyPredictor, LatencyTable, time_models
from optuna_nas.spaces import tabular_mlp

DATA = load("iris")
SPACE = tabular_mlp(input_shape=DATA.input_shape, classes=DATA.classes)
TABLE = LatencyPredictor(0.5, 0.0, 1.0, 0.0, {})


def objective(*names: str, **options) -> NASObjective:
    return NASObjective(SPACE, DATA, objectives=names, isolation="none", **options)


def test_counts_and_tabled_latencies_are_known():
    known = known_objectives(objective("latency_ms", "loss", "params", latency_table=TABLE))
    assert list(known) == [0, 2]
    genotype = SPACE.sample(np.random.default_rng(0))
    graph = SPACE.graph(genotype)
    for function in (known, pickle.loads(pickle.dumps(known))):
        assert function[0](genotype.params) == pytest.approx(TABLE.predict(graph))
        assert function[2](genotype.params) == graph.params


def test_what_is_measured_or_learned_is_not_known_nor_is_all():
    assert known_objectives(objective("accuracy", "latency_ms")) == {}
    assert known_objectives(objective("params", "macs")) == {}


def test_limits_reject_candidates():
    limited = objective(
        "accuracy", "params", "latency_ms", latency_table=TABLE, max_params=10, max_latency_ms=0.4
    )
    genotype = SPACE.sample(np.random.default_rng(0))
    for function in known_objectives(limited).values():
        with pytest.raises(InfeasibleArchitectureError, match="is over"):
            function(genotype.params)


@pytest.mark.slow
def test_a_search_by_a_table(tmp_path):
    timer = partial(time_models, seconds=0.001, passes=1)
    table = LatencyTable.measure(SPACE, networks=4, held_out=0, samples=20, timer=timer)
    outcome = search(
        SearchSettings(
            data="iris",
            sampler="predictor",
            latency_table=str(table.save(tmp_path / "table.json")),
            trials=12,
            epochs=1,
            finalists=1,
            jobs=1,
            out=str(tmp_path / "run"),
        )
    )
    for trial in outcome.study.trials:
        assert trial.values[1] == pytest.approx(table.predict(SPACE.genotype(trial.params)))
    assert outcome.best is not None
    assert outcome.best.latency is not None  # measured, at the end
    assert "predicted by a table of" in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_a_table_of_another_space_is_refused_before_there_is_a_study(tmp_path):
    timer = partial(time_models, seconds=0.001, passes=1)
    other = tabular_mlp(input_shape=(7,), classes=2)
    table = LatencyTable.measure(other, networks=0, held_out=0, samples=3, timer=timer)
    path = str(table.save(tmp_path / "table.json"))
    settings = SearchSettings(data="iris", latency_table=path, out=str(tmp_path / "run"))
    with pytest.raises(NASError, match="has few of the operations of tabular_mlp for iris"):
        search(settings)
    assert not (tmp_path / "run" / "study.db").exists()
    Path(path).write_text("{}")
    with pytest.raises(ProfilingError, match="not the JSON of a latency table"):
        search(settings)
