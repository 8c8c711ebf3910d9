"""Attributes that exist only under values of another one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import optuna
import pytest

from optuna_nas import Choice, Integer, SearchSpace, When
from optuna_nas.errors import SpaceError
from optuna_nas.graph import Operation, operations, register_operation
from optuna_nas.space import Node, layer
from optuna_nas.space.nodes import Layer

SIZES = [8, 16]


@pytest.fixture(autouse=True)
def _operation() -> Iterator[None]:
    register_operation(
        Operation("anything_of_tests", output_shape=lambda _attributes, inputs: inputs[0])
    )
    yield
    operations._OPERATIONS.pop("anything_of_tests")


def tower() -> Node:
    """A depth, a size for each layer beyond the first, and a detail of the second."""
    return layer(
        "anything_of_tests",
        depth=Integer("depth", 1, 3),
        size_1=When("depth", [2, 3], Choice("size_1", SIZES)),
        size_2=When("depth", [3], Choice("size_2", SIZES)),
        detail=When("size_1", [16], Choice("detail", ["a", "b"])),
    )


def space_of(body: Node) -> SearchSpace:
    return SearchSpace("conditional", input_shape=(4,), classes=2, body=[body])


def test_only_what_exists_is_decided_and_reaches_the_graph() -> None:
    space = space_of(tower())
    every = {tuple(g.params.items()) for g in space.neighbors(space.genotype({"depth": 1}))}
    every.add((("depth", 1),))
    one = [{}, *({"size_1": 8},), *({"size_1": 16, "detail": d} for d in "ab")][1:]
    wanted = [{"depth": 1}]
    wanted += [{"depth": 2, **sizes} for sizes in one]
    wanted += [{"depth": 3, **s, "size_2": z} for s, z in itertools.product(one, SIZES)]
    assert {frozenset(p) for p in every} == {frozenset(w.items()) for w in wanted}
    assert space.size == len(wanted)
    for params in wanted:
        genotype = space.genotype(params)
        assert genotype.params == params
        assert dict(space.graph(genotype).layers[1].attributes) == params


def test_each_host_takes_the_same_decisions() -> None:
    space = space_of(tower())
    rng = np.random.default_rng(0)
    for _ in range(50):
        genotype = space.sample(rng)
        trial = optuna.trial.FixedTrial(genotype.params)
        assert space.suggest(trial) == genotype  # type: ignore[arg-type]
        assert space.genotype(space.mutate(genotype, rng).params)
        child = space.crossover(genotype, space.sample(rng), rng)
        assert space.genotype(child.params) == child


def test_one_decision_has_one_name_and_domain_in_all_branches() -> None:
    assert list(space_of(tower()).distributions()) == ["depth", "size_1", "detail", "size_2"]


def test_it_survives_json() -> None:
    space = space_of(tower())
    again = SearchSpace.from_json(space.to_json())
    assert again == space
    assert again.size == space.size


def test_decisions_govern_the_layer() -> None:
    space = space_of(tower())
    governed = space.governed(space.genotype({"depth": 2, "size_1": 8}))
    assert governed == {"depth": ("anything_of_tests",), "size_1": ("anything_of_tests",)}


def test_plain_values_may_be_conditional() -> None:
    body = layer("anything_of_tests", kind=Choice("kind", ["a", "b"]), extra=When("kind", ["b"], 7))
    space = space_of(body)
    attributes = [space.graph(space.genotype({"kind": k})).layers[1].attributes for k in "ab"]
    assert [dict(a) for a in attributes] == [{"kind": "a"}, {"kind": "b", "extra": 7}]


def test_a_layer_without_conditions_is_a_plain_one() -> None:
    assert isinstance(layer("anything_of_tests", depth=Integer("depth", 1, 3)), Layer)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"b": When("a", [1], 2)}, "no attribute before it"),
        ({"b": When("a", [1], 2), "a": Choice("a", [1, 2])}, "no attribute before it"),
        ({"a": Choice("a", [1, 2]), "b": When("a", [3], 2)}, "takes these values"),
        ({"a": 1, "b": When("a", [1], 2)}, "is a decision"),
    ],
)
def test_a_condition_must_be_about_an_earlier_decision(attributes: dict, words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        layer("anything_of_tests", **attributes)


def test_what_a_condition_takes() -> None:
    with pytest.raises(SpaceError, match="at least one"):
        When("a", [], 2)
    with pytest.raises(SpaceError, match="plain value or a decision"):
        When("a", [1], When("b", [1], 2))
    nested = layer("anything_of_tests", a=Choice("a", [1, 2]), b=(When("a", [1], 2), 3))
    with pytest.raises(SpaceError, match="not in a tuple"):
        space_of(nested).graph(space_of(nested).genotype({"a": 1}))
