"""Decisions taken once for a place, and channels and layers that depend on what comes in."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.errors import SpaceError
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.space import (
    Channels,
    Choice,
    Given,
    Let,
    Node,
    Repeat,
    Scaled,
    Scope,
    SearchSpace,
    Shortcut,
    SqueezeExcite,
    WithChannels,
    conv,
    dense,
    flatten,
    global_average_pooling,
    identity,
)


def image_space(body: list[Node]) -> SearchSpace:
    return SearchSpace(
        "images", input_shape=(8, 6, 4), classes=2, body=[*body, global_average_pooling()]
    )


def only(space: SearchSpace, **params: object) -> ArchitectureGraph:
    graph = space.graph(space.genotype(params))
    assert SearchSpace.from_json(space.to_json()) == space
    return graph


def operations(graph: ArchitectureGraph) -> list[str]:
    return [layer.op for layer in graph.layers[1:-1]]


STAGE = [
    Let(Choice("units", [3, 5])),
    Let(Choice("kind", ["plain", "twice"])),
    Repeat(
        "block",
        1,
        2,
        Given("kind", {"plain": dense(Given("units")), "twice": dense(Scaled(Given("units"), 2))}),
    ),
]


def test_given_reads_the_nearest_decision() -> None:
    space = SearchSpace(
        "stages",
        input_shape=(4,),
        classes=2,
        body=[Let(Choice("units", [7])), dense(Given("units")), Scope("stage", STAGE)],
    )
    # units at the root; units, kind and depth of the stage
    assert space.size == 1 * 2 * 2 * 2
    genotype = space.genotype(
        {"units": 7, "stage/units": 5, "stage/kind": "twice", "stage/block/depth": 2}
    )
    graph = space.graph(genotype)
    assert [shape[0] for shape in graph.shapes.values()] == [4, 7, 10, 10, 2]
    governed = space.governed(genotype)
    assert governed["units"] == ("dense",)
    assert set(governed["stage/units"]) == set(governed["stage/kind"])
    assert len(governed["stage/kind"]) == 2


def test_given_holds_inside_of_another_space() -> None:
    inner = SearchSpace("inner", input_shape=(4,), classes=2, body=STAGE)
    outer = SearchSpace(
        "outer",
        input_shape=(4,),
        classes=2,
        body=[Scope("left", inner.body), Scope("right", inner.body)],
    )
    assert outer.size == inner.size**2
    genotype = outer.sample(np.random.default_rng(0))
    params = {**genotype.params, "left/units": 3, "right/units": 5, "right/kind": "plain"}
    assert outer.graph(outer.genotype(params)).shapes["right_block_0_dense"] == (5,)


def test_mistakes_are_explained() -> None:
    with pytest.raises(SpaceError, match="options are a dict of layers"):
        Given("kind", [identity()])
    with pytest.raises(SpaceError, match="options hold no decisions of their own"):
        Given("kind", {"a": dense(Choice("units", [1, 2]))})
    missing = SearchSpace("missing", input_shape=(4,), classes=2, body=dense(Given("units")))
    with pytest.raises(SpaceError, match="no Let before it, here or around it"):
        missing.sample(np.random.default_rng(0))
    body = [Let(Choice("kind", ["a", "b"])), Given("kind", {"a": identity()})]
    wrong = SearchSpace("wrong", input_shape=(4,), classes=2, body=body)
    with pytest.raises(SpaceError, match="no layers for 'b'"):
        wrong.graph(wrong.genotype({"kind": "b"}))


@pytest.mark.parametrize(
    ("channels", "divisor", "expected"),
    # A tenth less than 8.9 would be 8.01: 8 is too few.
    [(2.5, 1, 2), (0.2, 1, 1), (3, 8, 8), (11.9, 8, 16), (8.8, 8, 8), (8.9, 8, 16), (72, 8, 72)],
)
def test_channels_are_rounded_as_published(channels: float, divisor: int, expected: int) -> None:
    assert Channels(channels / 10, divisor).of(10) == expected


def test_factors_may_be_decisions() -> None:
    space = image_space([conv(Channels(Choice("factor", [0.5, 3.0])), 1, activation=None)])
    assert only(space, factor=3.0).shapes["conv2d"] == (8, 6, 12)
    space = image_space([conv(Scaled(10, Choice("factor", [0.5, 3.0]), 8), 1, activation=None)])
    assert only(space, factor=3.0).shapes["conv2d"] == (8, 6, 32)


def test_shortcuts() -> None:
    strides = Choice("strides", [1, 2])
    space = image_space([Shortcut(conv(4, 3, strides, activation=None))])
    assert operations(only(space, strides=1))[-2:] == ["add", "global_average_pooling2d"]
    assert "add" not in operations(only(space, strides=2))
    projected = image_space([Shortcut(conv(6, 3, activation=None), conv(6, 1, activation=None))])
    assert operations(only(projected)).count("conv2d") == 2
    assert "add" in operations(only(projected))


def test_channels_are_made_equal_only_where_they_differ() -> None:
    filters = Choice("filters", [4, 6])
    space = image_space([WithChannels(filters, conv(6, 1, activation=None))])
    assert operations(only(space, filters=4)) == ["global_average_pooling2d"]
    assert operations(only(space, filters=6))[0] == "conv2d"


def test_squeeze_and_excitation_has_its_published_size() -> None:
    ratio = Choice("ratio", [0.25, 0.5])
    space = image_space([SqueezeExcite(ratio, divisor=1)])
    graph = only(space, ratio=0.5)
    # Hu et al. (2018), eq. 3: two dense layers, with biases, of C * C / r weights.
    assert graph.params - (4 * 2 + 2) == (4 * 2 + 2) + (2 * 4 + 4)
    assert graph.shapes["multiply"] == (8, 6, 4)
    assert len(space.governed(space.genotype({"ratio": 0.5}))["ratio"]) == 7
    with pytest.raises(Exception, match="needs an input of shape"):
        SearchSpace(
            "vector", input_shape=(4, 4, 1), classes=2, body=[flatten(), SqueezeExcite()]
        ).sample(np.random.default_rng(0))
