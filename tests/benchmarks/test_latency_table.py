from __future__ import annotations

from argparse import Namespace

import latency_table
import numpy as np
import pytest

from optuna_nas import spaces
from optuna_nas.profiling import LatencyJob, LatencyTable
from tests.optuna_nas.profiling.fake_device import fake_times, network_ms


def test_every_way_is_judged_on_networks_it_has_not_seen():
    job = LatencyJob(spaces.nas_bench_201(cells=1), networks=20, held_out=30, samples=20)
    table = LatencyTable.from_times(job, fake_times(job))
    fitted = [network_ms(graph) for graph in job.fitted]
    ways = latency_table.predictions(table, job.fitted, fitted)
    found = latency_table.judge(ways, job.judged, [network_ms(graph) for graph in job.judged])
    assert found["`LatencyTable`"].median_error < 0.02
    assert found["`LatencyTable`"].kendall_tau > found["line through MACs"].kendall_tau
    rows = latency_table.rows("a space", found)
    assert [row[1] for row in rows] == list(ways)
    assert {len(row) for row in rows} == {5}


def test_recorded_cells_are_read_by_their_edges(tmp_path):
    """Latencies that a straight line through live MACs gives are predicted as one."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 5, (60, 6)).astype(np.int8)
    space = spaces.nas_bench_201(classes=100)
    latencies = []
    for cell in cells:
        names = dict(zip(latency_table.EDGES, cell, strict=True))
        genotype = {f"cell/{edge}": latency_table.OPERATIONS[code] for edge, code in names.items()}
        latencies.append(1.0 + space.graph(space.genotype(genotype)).pruned().macs / 1e7)
    path = tmp_path / "table.npz"
    np.savez(path, ops=cells, hw360_pi5_onnx_cifar100_lat_ms=np.array(latencies))
    job = LatencyJob(spaces.nas_bench_201(), networks=4, held_out=0, samples=30)
    table = LatencyTable.from_times(job, fake_times(job))
    options = Namespace(networks=8, recorded=20, seed=0)
    lines = latency_table.raspberry_pi(table, path, options)
    macs = [line for line in lines if "MACs" in line[1]]
    assert len(macs) == 2
    assert all(float(line[2]) == pytest.approx(1.0) for line in macs)
