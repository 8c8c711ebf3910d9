"""All architectures of a space in one graph: each of them is found in it, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_nas import Choice, Float, Integer, Maybe, Repeat, SearchSpace, spaces
from optuna_nas.errors import SupernetError
from optuna_nas.graph import get_operation
from optuna_nas.space import (
    Cell,
    Edge,
    Parallel,
    Subset,
    conv,
    dense,
    dropout,
    flatten,
    global_average_pooling,
    identity,
    max_pooling,
    residual,
    zero,
)
from optuna_nas.space.nodes import Body
from optuna_nas.supergraph import TAKE, SuperGraph, roles


def make(body: Body, shape: tuple[int, ...] = (8, 8, 3)) -> SearchSpace:
    return SearchSpace("test", input_shape=shape, classes=3, body=body)


def params(supergraph: SuperGraph, *, affine: bool = True) -> int:
    """Trainable scalars of all places, with or without those of decided normalisations."""
    return sum(
        get_operation(place.op).params(place.attributes, place.inputs)
        for place in supergraph.places.values()
        if place.op != TAKE and (affine or place.op != "batch_normalization" or not place.decided)
    )


READY = {
    "nas_bench_201": spaces.nas_bench_201(channels=4, cells=1),
    "nas_bench_macro": spaces.nas_bench_macro(),
    "darts": spaces.darts(channels=4, cells=5),
    "chain_cnn": spaces.chain_cnn(),
    "mobile_cnn": spaces.mobile_cnn(),
    "residual_cnn": spaces.residual_cnn(),
    "branching_cnn": spaces.branching_cnn(widths=(8, 16), merges=("add",), layers=2),
    "tabular_mlp": spaces.tabular_mlp(),
    "text_classifier": spaces.text_classifier(units=(32,)),
    "vision_transformer": spaces.vision_transformer(),
}


@pytest.mark.parametrize("name", READY)
def test_every_architecture_has_its_layers_and_widths_in_the_supergraph(name: str) -> None:
    space = READY[name]
    supergraph = SuperGraph.of(space)
    rng = np.random.default_rng(0)
    for _ in range(10):
        genotype = space.sample(rng)
        graph, hot = space.graph(genotype), supergraph.hot(genotype)
        placed = supergraph.placed(genotype)
        assert set(placed) >= {
            layer.name for layer in graph.layers if graph.layer_params(layer.name)
        }
        for layer_name, shared in placed.items():
            own = graph.layer(layer_name)
            assert shared.op == own.op
            *sizes, channels = supergraph.shapes[shared.name]
            if shared.name in supergraph.widths:
                mask = supergraph.widths[shared.name].mask(hot)
                assert set(mask) <= {0.0, 1.0}
                channels = int(mask.sum())
            assert (*sizes, channels) == graph.shapes[layer_name]
            narrow = {"filters", "units"}
            assert {k: v for k, v in own.attributes.items() if k not in narrow} == {
                k: v for k, v in shared.attributes.items() if k not in narrow
            }


def test_the_supernet_of_darts_has_the_published_number_of_parameters() -> None:
    # Liu et al. (2019): 16 channels and 8 cells, normalisations in cells without parameters.
    supergraph = SuperGraph.of(spaces.darts(channels=16, cells=8))
    assert params(supergraph, affine=False) == 1_930_618


def test_decisions_about_training_are_left_out() -> None:
    space = SearchSpace(
        "test",
        input_shape=(4,),
        classes=2,
        body=[dense(Choice("units", [2, 4]))],
        training=[Float("learning_rate", 1e-4, 1e-1, log=True)],
    )
    assert list(SuperGraph.of(space).decisions) == ["units"]


def test_layers_of_different_attributes_have_weights_of_their_own() -> None:
    supergraph = SuperGraph.of(
        make([conv(4, Choice("kernel", [1, 3])), conv(4, 1), global_average_pooling()])
    )
    kernels = [p.attributes["kernel_size"] for p in supergraph.places.values() if p.op == "conv2d"]
    assert kernels == [(1, 1), (3, 3), (1, 1)]


def test_a_decided_width_is_one_layer_of_the_most_channels() -> None:
    body = [conv(Choice("width", [2, 6])), conv(4), global_average_pooling()]
    supergraph = SuperGraph.of(make(body))
    filters = [p.attributes["filters"] for p in supergraph.places.values() if p.op == "conv2d"]
    assert filters == [6, 4]
    first = next(layer for layer in supergraph.root.layers() if layer.op == "conv2d")
    width = supergraph.widths[first.name]
    assert width.mask({"width": np.array([1.0, 0.0])}).tolist() == [1, 1, 0, 0, 0, 0]
    assert width.mask({"width": np.array([0.25, 0.75])}).tolist() == [1, 1, 0.75, 0.75, 0.75, 0.75]


def test_copies_of_a_repetition_are_made_once() -> None:
    supergraph = SuperGraph.of(make([Repeat("block", 1, 4, conv(4)), global_average_pooling()]))
    assert [p.op for p in supergraph.places.values()].count("conv2d") == 4
    outer, *_ = supergraph.root.mixtures()
    assert outer.kind == "depth"
    assert [branch.alternatives for branch in outer.branches] == [(0,), (1, 2, 3)]
    assert [branch.weighted for branch in outer.branches] == [True, False]
    paths = [len(supergraph.path({"block/depth": depth})) for depth in (1, 2, 3, 4)]
    assert paths == [5, 8, 11, 14]  # convolution, normalisation, activation; pooling and logits


def test_branches_of_a_subset_have_gates_of_their_own() -> None:
    edges = {str(k): conv(4, k) for k in (1, 3, 5)}
    space = make([conv(4, 1), Subset("edges", edges, 1, 2), global_average_pooling()])
    supergraph = SuperGraph.of(space)
    (mixture,) = supergraph.root.mixtures()
    assert mixture.kind == "sum"
    assert supergraph.decisions["edges"].size == 3
    assert supergraph.hot({"edges": "1+5"})["edges"].tolist() == [1, 0, 1]


def test_what_may_be_left_out_of_a_chain_lets_its_input_pass() -> None:
    supergraph = SuperGraph.of(make([conv(3), Maybe("extra", conv(3)), global_average_pooling()]))
    (mixture,) = supergraph.root.mixtures()
    assert roles(mixture) == ("skip", "operation")


def test_what_may_be_left_out_of_a_sum_or_a_concatenation_is_zero() -> None:
    for merge in ("add", "concatenate"):
        branches = [identity(), Maybe("side", conv(3))]
        supergraph = SuperGraph.of(make([Parallel(branches, merge), global_average_pooling()]))
        (mixture,) = supergraph.root.mixtures()
        assert (mixture.kind, [b.alternatives for b in mixture.branches]) == ("sum", [(1,)])
    merged = next(layer for layer in supergraph.root.layers() if layer.op == "concatenate")
    mask = supergraph.widths[merged.name].mask({"side": np.array([1.0, 0.0])})
    assert mask.tolist() == [1, 1, 1, 0, 0, 0]


def test_roles_of_operations() -> None:
    operations = {
        "none": zero(),
        "skip": identity(),
        "pool": max_pooling(3, 1),
        "conv": conv(3),
    }
    cell = Cell("cell", [Parallel([Edge(0, Choice("edge", operations))])])
    (mixture,) = SuperGraph.of(make([cell, global_average_pooling()])).root.mixtures()
    assert roles(mixture) == ("none", "skip", "pool", "operation")


def test_edges_from_different_nodes_have_weights_of_their_own() -> None:
    nodes = [Edge(0, conv(3)), Edge(Choice("source", [0, 1]), conv(3))]
    supergraph = SuperGraph.of(make([Cell("cell", nodes), global_average_pooling()]))
    assert [p.op for p in supergraph.places.values()].count("conv2d") == 3


def test_flattened_channels_stay_in_use() -> None:
    body = [conv(Choice("width", [1, 2]), normalization=False), flatten(), dense(4)]
    supergraph = SuperGraph.of(make(body, (2, 1, 1)))
    flat = next(layer for layer in supergraph.root.layers() if layer.op == "flatten")
    mask = supergraph.widths[flat.name].mask({"width": np.array([1.0, 0.0])})
    assert mask.tolist() == [1, 0, 1, 0]


def test_partial_channels_pass_by_and_are_shuffled() -> None:
    space = spaces.nas_bench_201(channels=8, cells=1)
    whole, partial = SuperGraph.of(space), SuperGraph.of(space, partial=4)
    assert partial.shapes[partial.root.output] == whole.shapes[whole.root.output]
    assert params(partial) < params(whole) / 3
    shuffles = [
        layer.attributes["channels"]
        for layer in partial.root.layers()
        if layer.op == TAKE and len(layer.attributes["channels"]) == 8
    ]
    assert shuffles[0] == (0, 2, 4, 6, 1, 3, 5, 7)
    with pytest.raises(SupernetError, match=r"partial=3 does not divide the 8 channels"):
        SuperGraph.of(space, partial=3)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([dropout(Float("rate", 0.0, 0.5)), flatten()], r"'rate' is continuous"),
        ([flatten(), dense(Integer("units", 1, 100))], r"'units' has 100 alternatives"),
        ([conv(4, Integer("kernel", 1, 99)), flatten()], r"'kernel' has 99 alternatives"),
        (
            [conv(4, 3, Choice("strides", [1, 2])), global_average_pooling()],
            r"'strides' give the shapes \(8, 8, 4\), \(4, 4, 4\)",
        ),
    ],
)
def test_what_cant_be_shared_is_said(body: Body, message: str) -> None:
    with pytest.raises(SupernetError, match=message):
        SuperGraph.of(make(body))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.nas_bench_101(channels=8), r"any graph of its vertices"),
        (spaces.nasnet(channels=4, cells=1), r"no other one reads"),
        (spaces.darts_rnn(), r"combinations of"),
    ],
)
def test_ready_spaces_that_cant_be_shared_say_why(space: SearchSpace, message: str) -> None:
    with pytest.raises(SupernetError, match=message):
        SuperGraph.of(space)


def test_widths_that_meet_must_be_one_decision() -> None:
    branches = [conv(Choice("left", [2, 4])), conv(Choice("right", [2, 4]))]
    with pytest.raises(SupernetError, match=r"Values of 2, 4 channels are added"):
        SuperGraph.of(make([Parallel(branches), global_average_pooling()]))


def test_a_projected_shortcut_is_made_for_each_width() -> None:
    body = [conv(4), residual(conv(Choice("width", [4, 8]))), global_average_pooling()]
    space = make(body)
    supergraph = SuperGraph.of(space)
    for width in (4, 8):
        genotype = space.genotype({"width": width})
        assert len(supergraph.placed(genotype)) == (5 if width == 4 else 7)
