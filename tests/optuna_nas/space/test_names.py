"""The names of decisions, as users see them in Optuna's plots, and what edits do to them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from optuna_nas import (
    Cell,
    Choice,
    Edge,
    Float,
    Integer,
    Maybe,
    Parallel,
    Repeat,
    SearchSpace,
    Subset,
    Tied,
)
from optuna_nas.space import (
    Channels,
    conv,
    dense,
    global_average_pooling,
    identity,
    max_pooling,
    separable_conv,
    zero,
)


@pytest.fixture
def digits() -> SearchSpace:
    return SearchSpace(
        "digits",
        input_shape=(8, 8, 1),
        classes=10,
        body=[
            conv(filters=Choice("stem", [16, 32]), kernel=3),
            Repeat(
                "stage",
                1,
                4,
                body=Choice(
                    "block",
                    {
                        "conv": conv(filters=64, kernel=Choice("kernel", [3, 5])),
                        "separable": separable_conv(filters=64, kernel=3),
                        "skip": identity(),
                    },
                ),
            ),
            global_average_pooling(),
        ],
        training=[
            Choice("optimizer", ["adam", "sgd"]),
            Float("learning_rate", 1e-4, 1e-1, log=True),
        ],
    )


PARAMS = {
    "stem": 32,
    "stage/depth": 2,
    "stage/0/block": "conv",
    "stage/0/block=conv/kernel": 5,
    "stage/1/block": "skip",
    "training/optimizer": "sgd",
    "training/learning_rate": 0.01,
}


def test_names_are_paths_with_the_branch_in_them(digits: SearchSpace) -> None:
    genotype = digits.genotype(PARAMS)
    assert list(genotype) == list(PARAMS)
    assert digits.training(genotype) == {"optimizer": "sgd", "learning_rate": 0.01}
    assert "stage/3/block=conv/kernel" in digits.distributions()


def test_training_is_part_of_the_identity_but_not_of_the_network(digits: SearchSpace) -> None:
    sgd = digits.genotype(PARAMS)
    adam = digits.genotype({**PARAMS, "training/optimizer": "adam"})
    assert digits.graph(sgd).canonical_id == digits.graph(adam).canonical_id
    assert digits.identity(sgd) != digits.identity(adam)


def test_the_space_counts_its_genotypes(digits: SearchSpace) -> None:
    assert digits.size == float("inf")
    assert SearchSpace.from_json(digits.to_json()).size == float("inf")


def test_a_copy_keeps_its_decisions_when_it_moves(digits: SearchSpace) -> None:
    genotype = digits.genotype(PARAMS)
    moved = {
        **PARAMS,
        "stage/0/block": "skip",
        "stage/1/block": "conv",
        "stage/1/block=conv/kernel": 5,
    }
    moved.pop("stage/0/block=conv/kernel")
    removed = {**PARAMS, "stage/depth": 1}
    inserted = {
        **PARAMS,
        "stage/depth": 3,
        "stage/0/block": "separable",
        "stage/1/block": "conv",
        "stage/1/block=conv/kernel": 5,
        "stage/2/block": "skip",
    }
    inserted.pop("stage/0/block=conv/kernel")
    neighbors = set(digits.neighbors(genotype))
    for params in (moved, removed, inserted):
        assert digits.genotype(params) in neighbors


def test_every_movable_decision_is_as_likely(digits: SearchSpace) -> None:
    genotype = digits.genotype(PARAMS)
    rng = np.random.default_rng(0)
    changed = {"stem": 0, "structure": 0, "training/optimizer": 0}
    draws = 3000
    for _ in range(draws):
        child = digits.mutate(genotype, rng)
        for name in ("stem", "training/optimizer"):
            changed[name] += child[name] != genotype[name]
    # stem, depth, two blocks, one kernel, optimizer and learning rate: seven decisions.
    for name in ("stem", "training/optimizer"):
        assert changed[name] / draws == pytest.approx(1 / 7, abs=0.025)


def test_tied_decisions_are_taken_once_and_counted_once() -> None:
    block = Tied(Choice("kind", {"wide": conv(8, Choice("kernel", [1, 3, 5])), "slim": conv(4)}))
    space = SearchSpace(
        "tied",
        input_shape=(8, 8, 1),
        classes=2,
        body=[Repeat("stage", 0, 3, [block, max_pooling(2)]), global_average_pooling()],
    )
    assert space.size == 1 + 3 * 4
    assert len(set(space.genotypes())) == space.size
    genotype = space.genotype({"stage/depth": 3, "kind": "wide", "kind=wide/kernel": 5})
    kernels = [
        s.attributes["kernel_size"] for s in space.graph(genotype).layers if s.op == "conv2d"
    ]
    assert kernels == [(5, 5)] * 3


def test_tied_decisions_inside_tied_ones_are_counted_once() -> None:
    inner = Tied(Choice("kernel", [1, 3]))
    outer = Tied(Choice("kind", {"a": conv(4, inner), "b": conv(4, 5), "c": identity()}))
    space = SearchSpace(
        "nested",
        input_shape=(8, 8, 1),
        classes=2,
        body=[outer, Maybe("more", [outer, conv(4, inner)]), global_average_pooling()],
    )
    assert len(set(space.genotypes())) == space.size == 4 + 2 + 2 + 2


def test_a_cell_chooses_operations_and_inputs() -> None:
    operations = {"conv": conv(4), "skip": identity()}
    picked = Subset(
        "inputs", {str(i): Edge(i, Choice("op", operations)) for i in range(3)}, 2, 2, merge="add"
    )
    cell = Cell(
        "cell",
        [
            Edge(0, Choice("first", operations)),
            Edge(Choice("source", [0, 1]), conv(4)),
            picked,
        ],
        output="concatenate",
    )
    space = SearchSpace(
        "cells", input_shape=(8, 8, 4), classes=2, body=[cell, global_average_pooling()]
    )
    assert space.size == 2 * 2 * 3 * 4
    genotype = space.genotype(
        {
            "cell/first": "conv",
            "cell/source": 1,
            "cell/inputs": "0+2",
            "cell/inputs/0/op": "skip",
            "cell/inputs/2/op": "conv",
        }
    )
    graph = space.graph(genotype)
    assert graph.shapes["cell_concatenate"] == (8, 8, 12)
    # Another choice of inputs keeps what was decided for the input that stays.
    moved = {n["cell/inputs/2/op"] for n in space.neighbors(genotype) if n["cell/inputs"] == "1+2"}
    assert moved == {"conv"}


def test_what_is_left_out_of_a_merge_is_no_branch() -> None:
    space = SearchSpace(
        "skip",
        input_shape=(8, 8, 1),
        classes=2,
        body=[
            conv(4),
            Parallel(
                [conv(4), Maybe("skip", identity())], merge=Choice("merge", ["add", "concatenate"])
            ),
            global_average_pooling(),
        ],
    )
    without = space.graph(space.genotype({"skip": False, "merge": "add"}))
    assert all(layer.op != "add" for layer in without.layers)
    joined = space.graph(space.genotype({"skip": True, "merge": "concatenate"}))
    assert joined.shapes["concatenate"] == (8, 8, 8)


def test_a_stepped_range_ends_where_it_says() -> None:
    space = SearchSpace(
        "steps",
        input_shape=(4,),
        classes=2,
        body=[],
        training=[Float("x", -10.2, 10.2, step=0.1)],
    )
    values = [genotype["training/x"] for genotype in space.genotypes()]
    assert len(values) == space.size == 205
    assert max(values) == 10.2
    assert all(space.genotype({"training/x": value})["training/x"] == value for value in values)


def test_a_continuous_range_of_one_value_is_one_value() -> None:
    space = SearchSpace(
        "one", input_shape=(4,), classes=2, body=[], training=[Float("x", 0.5, 0.5, log=True)]
    )
    assert space.size == len(list(space.genotypes())) == 1


def test_a_step_changes_a_value_near_zero() -> None:
    space = SearchSpace(
        "steps", input_shape=(4,), classes=2, body=[], training=[Float("x", -0.3, 0.3, step=0.1)]
    )
    genotype = space.genotype({"training/x": 0.0})  # on the grid, but for rounding
    rng = np.random.default_rng(0)
    assert min(abs(float(space.mutate(genotype, rng)["training/x"])) for _ in range(50)) > 0.05


def test_a_logarithmic_range_may_span_all_numbers() -> None:
    space = SearchSpace(
        "wide", input_shape=(4,), classes=2, body=[], training=[Float("x", 1e-300, 1e300, log=True)]
    )
    rng = np.random.default_rng(0)
    drawn = [
        space.mutate(space.genotype({"training/x": 1.0}), rng)["training/x"] for _ in range(50)
    ]
    assert min(drawn) < 1 < max(drawn)


def test_one_declaration_has_one_fingerprint() -> None:
    spaces = [
        SearchSpace("x", input_shape=(4,), classes=2, body=[], training=[Float("x", low, high)])
        for low, high in [(0, 1), (0.0, 1.0)]
    ]
    assert spaces[0] == spaces[1]
    assert spaces[0].fingerprint == spaces[1].fingerprint


def test_decisions_may_stand_in_tuples_and_channels_among_options() -> None:
    space = SearchSpace(
        "inner",
        input_shape=(8, 8, 4),
        classes=2,
        body=[
            conv(
                Choice("width", {"same": Channels(1), "double": Channels(2)}),
                (Choice("height", [1, 3]), 5),
            ),
            global_average_pooling(),
        ],
    )
    assert space.size == 4
    again = SearchSpace.from_json(space.to_json())
    graph = again.graph(again.genotype({"width": "double", "height": 1}))
    convolution = graph.layer("conv2d").attributes
    assert (convolution["filters"], convolution["kernel_size"]) == (8, (1, 5))


def test_hundreds_of_decisions_are_edited_at_once_and_lazily() -> None:
    edges = [Edge(0, Choice(f"op{i}", {"skip": identity(), "zero": zero()})) for i in range(8)]
    space = SearchSpace(
        "large",
        input_shape=(4, 4, 2),
        classes=2,
        body=[
            Repeat("cell", 150, 160, Cell("c", [Parallel(edges)])),
            global_average_pooling(),
        ],
        training=[Float("rate", 0, 1)],
    )
    rng = np.random.default_rng(0)
    genotype = space.sample(rng)
    assert len(genotype) > 1000
    assert len(set(itertools.islice(space.neighbors(genotype), 3))) == 3
    assert space.mutate(genotype, rng) != genotype
    assert space.size == float("inf")
    assert "infinitely many genotypes" in repr(space)
    digits = SearchSpace(
        "digits", input_shape=(4,), classes=2, body=[dense(Integer("u", 1, 10**5000))]
    )
    assert "about 10^5000 genotypes" in repr(digits)
