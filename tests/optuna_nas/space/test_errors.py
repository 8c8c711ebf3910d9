"""Declarations without meaning, and genotypes that do not fit, are refused in one clear line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optuna_nas import (
    Cell,
    Choice,
    Edge,
    Float,
    Genotype,
    Integer,
    Parallel,
    Repeat,
    SearchSpace,
    Subset,
    Tied,
)
from optuna_nas.errors import (
    GenotypeError,
    InfeasibleArchitectureError,
    InfeasibleSpaceError,
    OperationError,
    SpaceError,
)
from optuna_nas.space import (
    Scope,
    conv,
    flatten,
    global_average_pooling,
    identity,
    layer,
    max_pooling,
)


def space(*body: Any, **arguments: Any) -> SearchSpace:
    defaults: dict[str, Any] = {"input_shape": (8, 8, 1), "classes": 3}
    return SearchSpace("test", body=[*body, global_average_pooling()], **{**defaults, **arguments})


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Choice("a", []), "options are empty"),
        (lambda: Choice("a", [1, "b"]), "one type"),
        (lambda: Choice("a", [1, 1]), "repeat"),
        (lambda: Choice("a", [None]), "one type"),
        (lambda: Choice("a", [1.0, float("nan")]), "NaN is no option"),
        (lambda: Choice("a", {"x", "y"}), "a list of values or a dict"),  # their order is chance
        (lambda: Choice("a", "xy"), "a list of values or a dict"),
        (lambda: Choice("a", {"x": None}), "option 'x' must be layers or a plain value"),
        (lambda: Choice("a", {"x": np.float32(1)}), "option 'x' must be layers or a plain value"),
        (lambda: Choice("$node", [1]), "without '/'"),
        (lambda: Choice("a/b", [1]), "without '/'"),
        (lambda: Choice("a", {"x=y": identity()}), "without '/'"),
        (lambda: Choice("", [1]), "non-empty"),
        (lambda: Integer("a", 3, 1), "low <= high"),
        (lambda: Integer("a", 0, 5, step=2), "divides"),
        (lambda: Integer("a", 0, 5, log=True), "log needs low >= 1"),
        (lambda: Integer("a", 0.5, 5), "must be int"),  # type: ignore[arg-type]
        (lambda: Float("a", 1, 0), "low <= high"),
        (lambda: Float("a", 0, 1, log=True), "log needs low > 0"),
        (lambda: Float("a", 0, float("nan")), "finite"),
        (lambda: Float("a", 0, 1, step=0), "step must be positive"),
        (lambda: Float("a", 0, 1, step=float("nan")), "step must be positive"),
        (lambda: Float("a", 0, 1, step=0.3), "step must divide"),
        (lambda: Float("a", "0", 1), "must be numbers"),  # type: ignore[arg-type]
        (lambda: Repeat("a", 2, 1, identity()), "low <= high"),
        (lambda: Repeat("a", 0, 0, identity()), "low <= high"),
        (lambda: Parallel([]), "branches are a list"),
        (lambda: Parallel([identity()], merge="max"), "merge is one of"),
        (lambda: Parallel(identity()), "branches are a list"),
        (lambda: Cell("a", identity()), "nodes are a list"),
        (lambda: Subset("a", [identity()], 1, 1), "a dict of named"),  # type: ignore[arg-type]
        (lambda: Subset("a", {"x": identity()}, 1, 2), "1 <= low"),
        (lambda: Subset("a", {"x+y": identity()}, 1, 1), "no '\\+'"),
        (lambda: Cell("a", []), "nodes are a list"),
        (lambda: Cell("a", [identity()], output="first"), "output is"),
        (lambda: space("conv"), "Expected a layer"),
        (lambda: layer("conv2d", filters=[1]), "attribute 'filters'"),
        (lambda: max_pooling(Choice("size", [2, 3])), "name the strides"),
        (lambda: space(classes=1), "at least 2"),
        (lambda: space(classes=True), "at least 2"),
        (lambda: space(input_shape=(8, 0, 1)), "positive integers"),
        (lambda: space(input_shape=8), "positive integers"),
        (lambda: space(max_params=0), "positive integer"),
        (lambda: space(max_params="1000"), "positive integer"),
        (lambda: space(Scope("training", conv(Choice("f", [1, 2])))), "only decisions about"),
        (lambda: space(training=[Tied(Float("rate", 0, 1))]), "can't be Tied"),
        (
            lambda: space(training=[Scope(s, Float("rate", 0, 1)) for s in "ab"]),
            "Two decisions about training are called 'rate'",
        ),
        (lambda: SearchSpace("", input_shape=(4,), classes=2, body=[]), "non-empty string"),
        (lambda: SearchSpace.from_json("{}"), "not the JSON of a search space"),
        (lambda: SearchSpace.from_json("no json"), "not the JSON of a search space"),
        (lambda: SearchSpace.from_json("[1]"), "not the JSON of a search space"),
    ],
)
def test_a_bad_declaration_is_refused(declare: Callable[[], object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        declare()


def test_two_decisions_of_one_name_are_refused() -> None:
    with pytest.raises(SpaceError, match="Two decisions are named 'kernel'"):
        space(conv(4, Choice("kernel", [1, 3])), conv(4, Choice("kernel", [1, 3])))
    with pytest.raises(SpaceError, match="Two decisions are named 'kernel'"):
        space(conv(4, Tied(Choice("kernel", [1, 3]))), conv(4, Tied(Choice("kernel", [1, 5]))))
    with pytest.raises(SpaceError, match="Two decisions are named 'kernel'"):
        space(conv(4, Tied(Choice("kernel", [1, 3]))), conv(4, Choice("kernel", [1, 3])))
    assert (
        space(conv(4, Tied(Choice("kernel", [1, 3]))), conv(4, Tied(Choice("kernel", [1, 3])))).size
        == 2
    )
    assert (
        space(conv(4, Choice("kernel", [1, 3])), Scope("b", conv(4, Choice("kernel", [1])))).size
        == 2
    )


def test_values_and_layers_can_not_be_exchanged() -> None:
    value_as_layer = space(Choice("a", [1, 2]))
    with pytest.raises(SpaceError, match="gives the value 1, not layers"):
        value_as_layer.graph(value_as_layer.genotype({"a": 1}))
    layer_as_value = space(conv(4, Choice("a", {"x": conv(3)})))
    with pytest.raises(SpaceError, match="gives layers, not a value"):
        layer_as_value.graph(layer_as_value.genotype({"a": "x"}))
    bad = space(Cell("c", [Edge(1, identity())]))
    with pytest.raises(SpaceError, match="source 1 is not among"):
        bad.graph(bad.genotype({}))
    outside = space(Edge(0, identity()))
    with pytest.raises(SpaceError, match="outside of a Cell"):
        outside.graph(outside.genotype({}))


def test_an_unknown_operation_or_attribute_is_refused() -> None:
    unknown = space(layer("warp", speed=9))
    with pytest.raises(OperationError, match="Unknown operation 'warp'"):
        unknown.graph(unknown.genotype({}))
    extra = space(layer("conv2d", filters=3, kernel_size=3, kernel=3))
    with pytest.raises(OperationError, match="no attribute 'kernel'"):
        extra.graph(extra.genotype({}))
    lacking = space(layer("conv2d", filters=3))
    with pytest.raises(OperationError, match="needs the attribute 'kernel_size'"):
        lacking.graph(lacking.genotype({}))


def test_a_genotype_must_fit() -> None:
    both = space(conv(4, Choice("kernel", [1, 3])), layer("dropout", rate=Float("rate", 0, 0.5)))
    fit = {"kernel": 3, "rate": 0.25}
    assert both.genotype({**fit, "another": 1}).params == fit
    assert both.genotype({"kernel": np.int64(3), "rate": np.float32(0.25)}).params == fit
    for params, message in [
        ({"rate": 0.1}, "'kernel' of space 'test' is missing"),
        ({"kernel": 5, "rate": 0.1}, "5 is no value of the decision 'kernel'"),
        ({"kernel": True, "rate": 0.1}, "True is no value"),
        ({"kernel": "3", "rate": 0.1}, "'3' is no value"),
        ({"kernel": 3, "rate": 0.6}, "0.6 is no value"),
        ({"kernel": 3, "rate": float("nan")}, "nan is no value"),
    ]:
        with pytest.raises(GenotypeError, match=message):
            both.genotype(params)


def test_steps_bound_what_a_genotype_may_hold() -> None:
    stepped = space(training=[Float("rate", 0, 1, step=0.1)])
    assert stepped.genotype({"training/rate": 0.1 + 0.2})["training/rate"] == 0.1 + 0.2
    with pytest.raises(GenotypeError, match=r"0\.25 is no value"):
        stepped.genotype({"training/rate": 0.25})
    wide = space(training=[Integer("steps", 1, 10**9)])
    with pytest.raises(GenotypeError, match="a value from 1 to 1000000000 in steps of 1"):
        wide.genotype({"training/steps": 0})


def test_a_graph_is_made_of_genotypes_of_the_space_alone() -> None:
    both = space(conv(Choice("filters", [3, 4])), Choice("more", {"a": conv(2), "b": identity()}))
    fit = {"filters": 3, "more": "a"}
    for params, message in [
        ({**fit, "filters": 99}, "99 is no value of the decision 'filters'"),
        ({**fit, "more": "c"}, "'c' is no value of the decision 'more'"),
        ({"filters": 3}, "'more' of space 'test' is missing"),
        ({**fit, "another": 1}, "'another' does not exist under the others"),
    ]:
        with pytest.raises(GenotypeError, match=message):
            both.graph(Genotype(params))
    with pytest.raises(GenotypeError, match="must be a Genotype, got dict"):
        both.graph(fit)  # type: ignore[arg-type]
    for text in ("no json", "[]", "3"):
        with pytest.raises(GenotypeError, match="JSON"):
            Genotype.from_json(text)


def test_a_space_without_a_feasible_architecture_says_so() -> None:
    pooled = space(*(max_pooling(2, padding="valid") for _ in range(5)))
    with pytest.raises(InfeasibleSpaceError, match="none of 500 drawn architectures is feasible"):
        pooled.sample(np.random.default_rng(0))
    with pytest.raises(InfeasibleArchitectureError, match="'valid' padding does not fit"):
        pooled.graph(pooled.genotype({}))
    limited = space(conv(Choice("filters", [4, 64])), max_params=100)
    assert limited.sample(np.random.default_rng(0))["filters"] == 4
    assert list(limited.neighbors(limited.genotype({"filters": 4}))) == []
    with pytest.raises(InfeasibleSpaceError, match="over the limit max_params=100"):
        limited.mutate(limited.genotype({"filters": 4}), np.random.default_rng(0))
    macs = space(conv(4), max_macs=100)
    with pytest.raises(InfeasibleArchitectureError, match="over the limit max_macs=100"):
        macs.graph(macs.genotype({}))


def test_a_body_must_end_in_a_vector() -> None:
    open_ended = SearchSpace("test", input_shape=(8, 8, 1), classes=3, body=[conv(4)])
    with pytest.raises(InfeasibleArchitectureError, match="end it in a vector"):
        open_ended.graph(open_ended.genotype({}))
    flat = SearchSpace("test", input_shape=(8, 8, 1), classes=3, body=[conv(4), flatten()])
    assert flat.graph(flat.genotype({})).output_shape == (3,)


def test_branches_of_different_shapes_can_not_be_added() -> None:
    unequal = space(Parallel([conv(4), conv(8)]))
    with pytest.raises(InfeasibleArchitectureError, match="add needs inputs of one shape"):
        unequal.graph(unequal.genotype({}))
    projected = space(Parallel([conv(4), conv(8, strides=2)], project=True))
    graph = projected.graph(projected.genotype({}))
    assert graph.shapes["add"] == (4, 4, 8)
    joined = space(Parallel([conv(4), conv(8)], merge="concatenate"))
    assert joined.graph(joined.genotype({})).shapes["concatenate"] == (8, 8, 12)
