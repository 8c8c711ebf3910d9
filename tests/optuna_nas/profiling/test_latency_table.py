from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from optuna_nas.errors import ProfilingError
from optuna_nas.graph import GraphBuilder, LayerSpec
from optuna_nas.profiling import LatencyJob, LatencyTable, ModelTimes
from optuna_nas.profiling.fusion import single_operation
from optuna_nas.profiling.operation_times import OperationLatency, OperationTimes
from optuna_nas.spaces import chain_cnn, mobile_cnn, nas_bench_201
from optuna_nas.supergraph import SuperGraph
from tests.optuna_nas.profiling.fake_device import (
    MS_PER_MB,
    OFFSET,
    SCALE,
    WHERE,
    fake_timer,
    fake_times,
    network_ms,
)
from tests.optuna_nas.profiling.test_comparison import PROFILE

SPACE = chain_cnn()
JOB = LatencyJob(SPACE, networks=20, held_out=10, samples=60, seed=1)


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    return LatencyTable.from_times(JOB, fake_times(JOB))


def test_networks_are_different_and_none_is_both_fitted_to_and_judged():
    drawn = [*JOB.fitted, *JOB.judged]
    assert (len(JOB.fitted), len(JOB.judged)) == (20, 10)
    assert len({graph.canonical_id for graph in drawn}) == 30
    assert LatencyJob(SPACE, 20, 10, 60, seed=1).operations == JOB.operations
    assert LatencyJob(SPACE, 20, 10, 60, seed=2).fitted != JOB.fitted


def test_a_small_space_gives_what_it_has():
    job = LatencyJob(nas_bench_201(cells=1), networks=5, held_out=5, samples=20)
    assert len(job.judged) == 5
    assert 30 < len(job.operations) < 60


def test_offset_scale_and_weights_are_found_and_predictions_are_sums(table):
    found = table.offset_ms, table.scale, table.ms_per_mb
    assert found[:2] == pytest.approx((OFFSET, SCALE), rel=0.05)
    assert 0.5 * MS_PER_MB < found[2] < 1.1 * MS_PER_MB  # held back: they weigh little here
    rng = np.random.default_rng(5)
    for genotype in (SPACE.sample(rng) for _ in range(20)):
        graph = SPACE.graph(genotype)
        assert table.predict(genotype) == pytest.approx(table.predict(graph))
        if table.covers(graph):
            assert table.predict(graph) == pytest.approx(network_ms(graph), rel=0.01)
    assert table.quality is not None
    assert table.quality.networks == 10
    assert table.quality.kendall_tau > 0.9


@pytest.mark.parametrize("space", [nas_bench_201(cells=1), mobile_cnn()], ids=lambda s: s.name)
def test_other_spaces_add_up_too(space):
    job = LatencyJob(space, networks=12, held_out=6, samples=30)
    table = LatencyTable.from_times(job, fake_times(job))
    assert table.quality is not None
    assert table.quality.median_error < 0.02


def test_a_few_networks_of_another_device_are_enough(table):
    thrice = table.fitted_to(JOB.fitted[:6], [3 * table.predict(graph) for graph in JOB.fitted[:6]])
    assert thrice.operations == table.operations
    assert thrice.quality is None
    for graph in JOB.judged:
        assert thrice.predict(graph) == pytest.approx(3 * table.predict(graph))
    with pytest.raises(ProfilingError, match="at least 1, got 0 and 0"):
        table.fitted_to([], [])


def test_without_networks_operations_are_only_added_up():
    job = LatencyJob(SPACE, networks=0, held_out=0, samples=40)
    table = LatencyTable.from_times(job, fake_times(job))
    assert (table.scale, table.ms_per_mb, table.quality) == (1.0, 0.0, None)


def test_measure_hands_the_models_to_the_timer(table):
    arguments = {"networks": 20, "held_out": 10, "samples": 60, "seed": 1}
    assert LatencyTable.measure(SPACE, **arguments, timer=fake_timer(JOB)) == table


def test_what_was_not_measured_is_interpolated_by_work(table):
    wide = GraphBuilder((8, 8, 1))
    value = wide.add("conv2d", {"filters": 33, "kernel_size": (3, 3)}, ["input"])
    value = wide.add("global_average_pooling2d", {}, [value])
    graph = wide.graph(wide.add("dense", {"units": 10}, [value]))
    assert not table.covers(graph)
    assert any("filters=33" in key for key in table.missing(graph))
    assert table.predict(graph) == pytest.approx(network_ms(graph), rel=0.05)


def test_interpolation_is_within_the_family_if_that_was_measured():
    conv = {"filters": 8, "kernel_size": (3, 3)}
    small, large = ((8, 8, 4), (8, 8, 8)), ((16, 16, 4), (16, 16, 8))
    plain = single_operation("conv2d", conv, [small[0]], small[1])
    other = single_operation("conv2d", {**conv, "kernel_size": (5, 5)}, [small[0]], small[1])
    times = OperationTimes(
        {"a": OperationLatency.of(plain, 1.0), "b": OperationLatency.of(other, 7.0)}
    )
    asked = single_operation("conv2d", conv, [large[0]], large[1])
    assert times.ms(asked) == pytest.approx(asked.work / plain.work)
    only = OperationTimes({"b": OperationLatency.of(other, 7.0)})
    assert only.ms(asked) == pytest.approx(7.0 * asked.work / other.work)


def test_what_is_like_nothing_measured_is_refused(table):
    builder = GraphBuilder((8, 8, 1))
    value = builder.add("average_pooling2d", {"pool_size": (2, 2)}, ["input"])
    with pytest.raises(ProfilingError, match="no operation like 'average_pooling2d"):
        table.predict(builder.graph(builder.add("flatten", {}, [value])))


def test_a_genotype_needs_a_space(table):
    genotype = SPACE.sample(np.random.default_rng(0))
    with pytest.raises(ProfilingError, match="pass the graph"):
        replace(table, space=None).predict(genotype)


def test_costs_of_layers_leave_only_the_offset(table):
    for graph in JOB.fitted:
        layers = graph.pruned()
        cost = sum(
            table.cost_of(
                layer, [layers.shapes[n] for n in layer.inputs], layers.shapes[layer.name]
            )
            for layer in layers.layers
        )
        # Sums and activations within a convolution have no place of their own.
        assert table.offset_ms + cost == pytest.approx(table.predict(graph), rel=0.15)


def test_costs_of_a_supernets_layers(table):
    supergraph = SuperGraph.of(SPACE)
    for layer in supergraph.root.layers():
        shapes = [supergraph.shapes[name] for name in layer.inputs]
        cost = table.cost_of(layer, shapes, supergraph.shapes[layer.name])
        assert np.isfinite(cost)
        assert cost > 0 or layer.op != "conv2d"


def test_costs_by_hand(table):
    conv = single_operation(
        "conv2d", {"filters": 16, "kernel_size": (3, 3)}, [(8, 8, 16)], (8, 8, 16)
    )
    layer = LayerSpec("x", "conv2d", conv.main.attributes)
    megabytes = 4e-6 * 9 * 16 * 16
    known = min(
        entry.ms
        for key, entry in table.operations.entries.items()
        if key.startswith(conv.main.text) and ": 8x8x16" in key
    )
    cost = table.cost_of(layer, [(8, 8, 16)], (8, 8, 16))
    assert cost == pytest.approx(table.scale * known + table.ms_per_mb * megabytes)
    norm = LayerSpec("y", "batch_normalization")
    assert table.cost_of(norm, [(8, 8, 16)], (8, 8, 16)) == 0.0


def test_json_round_trip(table, tmp_path):
    assert LatencyTable.from_json(table.to_json()) == table
    assert LatencyTable.load(table.save(tmp_path / "table.json")) == table
    one = replace(JOB, held_out=1)
    lonely = LatencyTable.from_times(one, fake_times(one))
    again = LatencyTable.from_json(lonely.to_json())  # the NaN of one network's tau
    assert np.isnan(again.quality.kendall_tau)
    assert json.loads(lonely.to_json())["quality"]["kendall_tau"] is None


def test_bad_files_are_named(table, tmp_path):
    with pytest.raises(ProfilingError, match="not the JSON of a latency table"):
        LatencyTable.from_json('{"operations": 3}')
    with pytest.raises(ProfilingError, match=r"can't read the latency table .*none\.json"):
        LatencyTable.load(tmp_path / "none.json")


def test_missing_times_are_refused():
    times = fake_times(JOB)
    short = {name: ms for name, ms in times.ms.items() if not name.startswith("probes")}
    with pytest.raises(ProfilingError, match=r"models were not measured, such as 'probes"):
        LatencyTable.from_times(JOB, ModelTimes(short, WHERE))


def test_predictions_are_judged_by_profiles_of_the_same_place(table):
    graphs = JOB.fitted[:5]
    profiles = [
        replace(PROFILE, ratio_to_anchor=None, min_ms=network_ms(graph), provenance=WHERE)
        for graph in graphs
    ]
    assert table.judge(graphs, profiles).median_error < 0.02
    elsewhere = replace(profiles[-1], provenance={**WHERE, "cpu": "another"})
    with pytest.raises(ProfilingError, match="cpu: 'made up' and 'another'"):
        table.judge(graphs, [*profiles[:4], elsewhere])


def test_unlike_environments_refuse_to_be_compared(table):
    elsewhere = replace(table, provenance={**WHERE, "threads": 2})
    with pytest.raises(ProfilingError, match="threads: 1 and 2"):
        table.require_comparable(elsewhere)
    table.require_comparable(replace(table, provenance={**WHERE, "time": "later"}))


@pytest.mark.parametrize("name", ["networks", "held_out", "samples"])
def test_a_job_takes_counts(name):
    with pytest.raises(ProfilingError, match=f"{name}: expected at least 0, got -1"):
        LatencyJob(SPACE, **{name: -1})
    with pytest.raises(ProfilingError, match="samples: expected at least 1"):
        LatencyJob(SPACE, networks=0, held_out=0, samples=0)


def test_times_between_and_beyond_what_was_measured():
    def dense(units: int, inputs: int):
        return single_operation("dense", {"units": units}, [(inputs,)], (units,))

    small, large = dense(10, 10), dense(100, 10)
    times = OperationTimes(
        {o.key: OperationLatency.of(o, ms) for o, ms in ((small, 1.0), (large, 2.0))}
    )
    middle = dense(50, 10)
    share = (middle.work - small.work) / (large.work - small.work)
    assert times.ms(middle) == pytest.approx(1.0 + share)
    twice = dense(200, 10)
    assert times.ms(twice) == pytest.approx(2.0 * twice.work / large.work)
    half = dense(5, 10)
    assert times.ms(half) == pytest.approx(half.work / small.work)
