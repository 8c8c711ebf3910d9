"""Features of networks: cells worked out by hand, and what equal networks share."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_nas.graph import GraphBuilder
from optuna_nas.graph.liveness import live_layers
from optuna_nas.search import SpaceEncoding
from optuna_nas.search.features import KnownLayers, graph_features, live_decisions
from optuna_nas.space import (
    Choice,
    Float,
    Genotype,
    Maybe,
    Parallel,
    Repeat,
    SearchSpace,
    conv,
    flatten,
    global_average_pooling,
    identity,
    zero,
)
from optuna_nas.spaces import chain_cnn, nas_bench_201
from optuna_nas.spaces.nas_bench_201 import from_string
from tests.optuna_nas.graph.test_liveness import random_graph
from tests.strategies import spaces

ONE_CELL = nas_bench_201(cells=1, channels=4)


def of_graph(graph):
    return structure(graph_features(graph, live_layers(graph), KnownLayers()))


def structure(features):
    return {k: v for k, v in features.items() if k.split()[0] in ("graph", "stage")}


def without_costs(encoding, params):
    features = encoding.describe(params, {})
    return {k: v for k, v in features.items() if not k.startswith("cost")}


def live_params(space, genotype):
    names = live_decisions(space.governed(genotype), live_layers(space.graph(genotype)))
    return {name: value for name, value in genotype.items() if name in names}


def test_a_cell_worked_out_by_hand() -> None:
    # Node 1 is nothing; node 2 = conv3x3(x); output = x + pool(node 2).
    cell = "|none~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|avg_pool_3x3~2|"
    features = SpaceEncoding(nas_bench_201()).describe(from_string(cell), {})
    assert {k for k in features if k.startswith("decision")} == {
        "decision cell/0->2",
        "decision cell/0->2=nor_conv_3x3",
        "decision cell/0->3",
        "decision cell/0->3=skip_connect",
        "decision cell/2->3",
        "decision cell/2->3=avg_pool_3x3",
    }
    assert features["kind cell/#->#"] == 3.0
    # Two ways through each of 15 cells and 2 residual blocks.
    assert features["graph log paths"] == pytest.approx(17 * math.log(2))
    # Stem and head, one 1x1 in each shortcut; at most 15 convolutions, and 2 in each block.
    assert features["graph shortest path"] == 4.0
    assert features["graph longest path"] == 2 + 15 + 2 * 2
    assert features["graph mean path"] == pytest.approx(2 + 15 / 2 + 2 * 1.5)
    # 15 in cells, 1 stem, the second one of each residual block; the first ones have strides.
    assert features["graph layers conv2d kernel_size (3, 3)"] == 18.0
    assert features["graph on path average_pooling2d pool_size (3, 3)"] == 7.5
    # The dead 1x1 convolution is in the table's counts, not here.
    graph = nas_bench_201().graph(from_string(cell))
    dead = 28_000
    assert features["graph log params"] == pytest.approx(math.log1p(graph.params - dead))
    assert features["cost log params"] == pytest.approx(math.log1p(graph.params))
    assert features["cost log macs"] == pytest.approx(math.log1p(graph.macs))
    # 15 in cells, and one in each shortcut.
    assert features["cost layers=conv2d kernel_size (1, 1)"] == 17.0
    assert features["graph layers conv2d kernel_size (1, 1)"] == 2.0
    assert {k for k in features if k.startswith("cost dead")} == {
        "cost dead cell/0->1=none",
        "cost dead cell/1->2=nor_conv_1x1",
        "cost dead cell/1->3=avg_pool_3x3",
    }
    assert features["stage 2 width"] == pytest.approx(6.0)
    assert features["stage vector path"] == 1.0


def test_a_disconnected_network_says_so() -> None:
    cell = "|none~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|none~2|"
    features = SpaceEncoding(ONE_CELL).describe(from_string(cell), {})
    assert structure(features) == {"graph disconnected": 1.0}
    assert not any(name.split()[0] in ("decision", "kind") for name in features)


def _cells(count: int) -> list[Genotype]:
    rng = np.random.default_rng(0)
    return [ONE_CELL.sample(rng) for _ in range(count)]


def test_dead_edges_are_none_and_live_ones_are_not() -> None:
    """By brute force: taking a dead edge out changes nothing, taking a live one out does."""
    for cell in _cells(60):
        live = live_params(ONE_CELL, cell)
        for edge in cell:
            without = Genotype({**cell, edge: "none"})
            same = ONE_CELL.identity(without) == ONE_CELL.identity(cell)
            assert same == (edge not in live)
            if same:
                encoding = SpaceEncoding(ONE_CELL)
                assert without_costs(encoding, cell) == without_costs(encoding, without)


@pytest.mark.slow
def test_cells_that_differ_once_dead_edges_are_none() -> None:
    """9,445 labelled graphs; the 341 disconnected cells are one of them."""
    cells = ONE_CELL.genotypes()
    assert len({frozenset(live_params(ONE_CELL, cell).items()) for cell in cells}) == 9_445


def _assert_equal_where_identities_are(found) -> int:
    """Checks (identity, features) pairs; returns how many had met their like before."""
    known: dict[str, dict[str, float]] = {}
    repeats = 0
    for identity_, features in found:
        assert all(math.isfinite(value) for value in features.values())
        repeats += identity_ in known
        assert known.setdefault(identity_, features) == features
    return repeats


def test_cells_of_one_identity_have_equal_structural_features() -> None:
    encoding = SpaceEncoding(ONE_CELL)
    found = ((ONE_CELL.identity(g), structure(encoding.describe(g, {}))) for g in _cells(400))
    assert _assert_equal_where_identities_are(found) > 30


def test_graphs_of_one_identity_have_equal_features() -> None:
    graphs = [random_graph(np.random.default_rng(seed), most=7) for seed in range(800)]
    assert _assert_equal_where_identities_are((g.canonical_id, of_graph(g)) for g in graphs) > 200


@settings(max_examples=30, deadline=None)
@given(space=spaces(), seed=st.integers(0, 2**32 - 1))
def test_architectures_of_one_identity_have_equal_structural_features(space, seed) -> None:
    rng = np.random.default_rng(seed)
    genotypes = [space.sample(rng) for _ in range(6)]
    encoding = SpaceEncoding(space)
    found = []
    for genotype in genotypes:
        features = encoding.describe(genotype.params, {})
        assert features == SpaceEncoding(space).describe(genotype.params, {})
        found.append((space.graph(genotype).canonical_id, structure(features)))
    _assert_equal_where_identities_are(found)


@settings(max_examples=30, deadline=None)
@given(space=spaces(), seed=st.integers(0, 2**32 - 1))
def test_every_governed_layer_is_one_of_the_graph(space, seed) -> None:
    genotype = space.sample(np.random.default_rng(seed))
    graph = space.graph(genotype)
    for name, layers in space.governed(genotype).items():
        assert name in genotype
        assert set(layers) <= {layer.name for layer in graph.layers}


def _space(body, **more):
    return SearchSpace("s", input_shape=(8, 8, 2), classes=3, body=body, **more)


def test_decisions_within_a_dead_branch_are_dead() -> None:
    dead = [conv(2, Choice("kernel", [1, 3])), zero()]
    space = _space([Parallel({"a": conv(2, Choice("kernel", [1, 3])), "b": dead}), flatten()])
    genotype = space.genotype({"a/kernel": 3, "b/kernel": 3})
    assert live_params(space, genotype) == {"a/kernel": 3}
    assert space.governed(genotype)["b/kernel"] == ("b_conv2d",)


def test_what_is_left_out_is_absent_and_what_passes_its_input_on_is_not() -> None:
    block = Choice("kind", {"conv": conv(2), "skip": identity(), "nothing": []})
    space = _space([Maybe("first", conv(2)), Repeat("more", 0, 2, block), flatten()])
    genotype = space.genotype({"first": False, "more/depth": 1, "more/0/kind": "nothing"})
    assert live_params(space, genotype) == {"more/depth": 1, "more/0/kind": "nothing"}


def test_tied_decisions_are_live_where_any_of_their_places_is() -> None:
    space = chain_cnn()
    genotype = space.sample(np.random.default_rng(1))
    assert live_params(space, genotype)["activation"] == genotype["activation"]


def test_training_decisions_and_those_the_space_does_not_know_are_features() -> None:
    space = _space([conv(2), global_average_pooling()], training=[Float("rate", 1e-4, 1, log=True)])
    features = SpaceEncoding(space).describe({"training/rate": 1e-2, "batch": 32}, {})
    assert features["decision training/rate value"] == pytest.approx(0.5)
    assert features["decision batch"] == 1.0
    assert features["stage 0 path"] == 1.0


def test_what_is_not_of_the_space_is_described_by_its_decisions() -> None:
    features = SpaceEncoding(ONE_CELL).describe({"cell/0->1": "none", "other": 1}, {})
    assert "decision cell/0->1=none" in features
    assert not structure(features)


def test_known_layers_stay_few_and_right() -> None:
    known = KnownLayers()
    known.MAX_SIZE = 5
    for filters in range(1, 20):
        b = GraphBuilder((4, 4, 2))
        graph = b.graph(b.add("conv2d", {"filters": filters, "kernel_size": 1}, ["input"]))
        features = graph_features(graph, live_layers(graph), known)
        assert features["graph log params"] == pytest.approx(math.log1p(2 * filters))
        assert len(known) <= 5
