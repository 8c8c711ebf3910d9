"""One draw of every ready space."""

from __future__ import annotations

from dataclasses import replace

import pytest
import spaces as benchmark

from optuna_nas.graph import GraphBuilder, operations
from optuna_nas.spaces import chain_cnn


def test_a_wrong_count_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = GraphBuilder((8, 8, 3))
    x = builder.add("conv2d", {"filters": 4, "kernel_size": 3}, ["input"])
    x = builder.add("batch_normalization", {}, [x])
    x = builder.add("global_average_pooling2d", {}, [x])
    graph = builder.graph(builder.add("dense", {"units": 2}, [x]))
    assert benchmark.macs_error(graph) == 0
    wrong = replace(operations.get_operation("conv2d"), macs=lambda _a, _i: 0)
    monkeypatch.setitem(operations._OPERATIONS, "conv2d", wrong)
    assert benchmark.macs_error(graph) > 0.9


@pytest.mark.slow
def test_a_draw_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(benchmark.SMALL) <= set(benchmark.ready_spaces())
    small = chain_cnn(**{**benchmark.SMALL["chain_cnn"], "stages": 1})
    found = benchmark.check(small, small, draws=1, seed=0)
    assert found.failures == {}
    assert (found.params, found.trained, found.agrees, found.returns) == (1, 1, 1, 1)
    monkeypatch.setattr(benchmark, "build_model", lambda graph, seed: 1 / 0)
    found = benchmark.check(small, small, draws=2, seed=0)
    assert found.failures == {"ZeroDivisionError: division by zero": 2}
