from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optuna_nas.errors import ProfilingError
from optuna_nas.graph import LayerSpec
from optuna_nas.profiling import LatencyPredictor, Quality
from optuna_nas.spaces import nas_bench_201
from tests.optuna_nas.profiling.fake_device import network_ms
from tests.optuna_nas.profiling.test_comparison import PROFILE

SPACE = nas_bench_201(cells=1)
RNG = np.random.default_rng(0)
GRAPHS = [SPACE.graph(SPACE.sample(RNG)) for _ in range(50)]
TIMES = [network_ms(graph) for graph in GRAPHS]


@pytest.fixture(scope="module")
def predictor() -> LatencyPredictor:
    return LatencyPredictor.fit(GRAPHS[:30], TIMES[:30])


def test_it_ranks_networks_better_than_macs_do(predictor):
    quality = Quality.of([predictor.predict(graph) for graph in GRAPHS[30:]], TIMES[30:])
    macs = Quality.of([float(graph.macs) for graph in GRAPHS[30:]], TIMES[30:])
    assert quality.kendall_tau > macs.kendall_tau
    assert quality.median_error < 0.05


def test_with_few_networks_kinds_share_a_rate():
    few = LatencyPredictor.fit(GRAPHS[:4], [graph.macs * 1e-6 + 0.1 for graph in GRAPHS[:4]])
    assert few.predict(GRAPHS[0]) == pytest.approx(GRAPHS[0].macs * 1e-6 + 0.1, rel=0.1)


def test_costs_of_layers(predictor):
    conv = LayerSpec("x", "conv2d", {"filters": 16, "kernel_size": (3, 3)})
    cost = predictor.cost_of(conv, [(32, 32, 16)], (32, 32, 16))
    assert cost > 0
    assert predictor.cost_of(LayerSpec("y", "batch_normalization"), [(8, 8, 4)], (8, 8, 4)) == 0.0
    assert predictor.cost_of(LayerSpec("z", "identity"), [(8, 8, 4)], (8, 8, 4)) == 0.0


def test_json_round_trip(predictor):
    assert LatencyPredictor.from_json(predictor.to_json()) == predictor
    with pytest.raises(ProfilingError, match="not the JSON of a latency predictor"):
        LatencyPredictor.from_json("[]")


def test_profiles_are_taken_when_they_are_alike():
    profiles = [replace(PROFILE, ratio_to_anchor=10 * ms) for ms in TIMES[:6]]
    predictor = LatencyPredictor.fit(GRAPHS[:6], profiles)
    assert predictor.provenance["cpu"] == "one"
    odd = replace(PROFILE, provenance={**PROFILE.provenance, "threads": 4})
    with pytest.raises(ProfilingError, match="threads: 1 and 4"):
        LatencyPredictor.fit(GRAPHS[:6], [*profiles[:5], odd])


@pytest.mark.parametrize(
    ("count", "times", "message"),
    [
        (3, TIMES[:3], "at least 4, got 3 and 3"),
        (5, TIMES[:4], "got 5 and 4"),
        (4, [1.0, 2.0, 0.0, 1.0], "above 0, got 0"),
        (4, [1.0, 2.0, float("nan"), 1.0], "above 0, got nan"),
    ],
)
def test_bad_measurements_are_refused(count, times, message):
    with pytest.raises(ProfilingError, match=message):
        LatencyPredictor.fit(GRAPHS[:count], times)
