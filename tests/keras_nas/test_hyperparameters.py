"""Spaces as Keras Tuner hyperparameters: names, conditions, values both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_nas._keras_tuner import keras_tuner
from keras_nas.distributions import distribution_of
from keras_nas.hyperparameters import (
    declare,
    default_genotype,
    genotype_from,
    hyperparameters_of,
    read_genotype,
    values_of,
)
from optuna_nas.errors import GenotypeError, InfeasibleSpaceError
from optuna_nas.space import (
    Choice,
    Float,
    Integer,
    Maybe,
    Repeat,
    Scope,
    SearchSpace,
    Subset,
    Tied,
    When,
    activation,
    conv,
    dense,
    dropout,
    flatten,
    global_average_pooling,
    identity,
    layer,
    max_pooling,
)
from optuna_nas.spaces import chain_cnn, nas_bench_201, tabular_mlp
from tests.strategies import rngs, spaces

pytestmark = pytest.mark.filterwarnings(
    "ignore:(currentThread|getName):DeprecationWarning:keras_tuner"
)

READY = [chain_cnn(), nas_bench_201(), tabular_mlp()]


def space_of(*body: Any, training: Any = ()) -> SearchSpace:
    return SearchSpace("s", input_shape=(4,), classes=2, body=list(body), training=training)


def declared(space: SearchSpace) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    declare(space, hp)
    return hp


def conditions(space: SearchSpace) -> dict[str, list[tuple[str, list[Any]]]]:
    hp = declared(space)
    return {h.name: [(c.name, c.values) for c in h.conditions] for h in hp.space}


def active(hp: keras_tuner.HyperParameters) -> set[str]:
    return {h.name for h in hp.space if hp.is_active(h)}


def drawn(space: SearchSpace, seed: int) -> keras_tuner.HyperParameters:
    """Values as Keras Tuner's random search draws them."""
    oracle = keras_tuner.oracles.RandomSearchOracle(
        "loss", max_trials=1, seed=seed, hyperparameters=declared(space)
    )
    hp = oracle.get_space()
    hp.values = oracle.populate_space("0")["values"]
    return hp


class Grid(keras_tuner.oracles.GridSearchOracle):  # type: ignore[misc]
    """Keras Tuner's grid, which keeps its trials in memory."""

    def save(self, *_args: Any) -> None: ...

    def _save_trial(self, *_args: Any) -> None: ...

    def walk(self) -> list[keras_tuner.HyperParameters]:
        self.verbose = 0
        found = []
        while (trial := self.create_trial("tuner0")).status == "RUNNING":
            found.append(trial.hyperparameters)
            self.update_trial(trial.trial_id, {"loss": 0.0})
            trial.status = "COMPLETED"
            self.end_trial(trial)
        return found


# --- properties ----------------------------------------------------------------------------------


@given(space=spaces(), rng=rngs)
def test_genotype_to_hyperparameters_and_back(space: SearchSpace, rng: Any) -> None:
    genotype = space.sample(rng)
    hp = hyperparameters_of(space, genotype)
    assert read_genotype(space, hp) == genotype
    assert genotype_from(space, hp) == genotype
    assert active(hp) == set(hp.values)
    assert genotype.items() <= hp.values.items()
    assert values_of(space, genotype) == hp.values


@given(space=spaces(), seed=st.integers(1, 2**20))
def test_hyperparameters_to_genotype_and_back(space: SearchSpace, seed: int) -> None:
    hp = drawn(space, seed)
    genotype = read_genotype(space, hp)
    again = values_of(space, genotype)
    assert again.keys() == hp.values.keys()
    # What Keras Tuner alone takes for active, it alone gave a value.
    assert {n: again[n] for n in genotype} == {n: hp.values[n] for n in genotype}
    if not any(point.tied for root in space.points for point in root.descend()):
        assert genotype.params == hp.values == again


@pytest.mark.usefixtures("quiet_optuna")
@given(space=spaces(), seed=st.integers(0, 2**20))
def test_agrees_with_the_route_through_optuna(space: SearchSpace, seed: int) -> None:
    sampler = optuna.samplers.RandomSampler(seed=seed)
    trial = optuna.create_study(sampler=sampler).ask()
    genotype = space.suggest(trial)
    hp = hyperparameters_of(space, trial.params)
    assert read_genotype(space, hp) == genotype
    found = {h.name: distribution_of(h) for h in hp.space}
    for name, distribution in trial.distributions.items():
        if distribution == optuna.distributions.CategoricalDistribution((True, False)):
            assert set(found[name].choices) == {True, False}  # Keras Tuner has one order of them
        else:
            assert found[name] == distribution
    fixed = optuna.trial.FixedTrial(drawn(space, seed + 1).values)
    assert space.suggest(fixed) == read_genotype(space, drawn(space, seed + 1))


@given(space=spaces(), seed=st.integers(1, 2**20))
def test_survives_the_files_and_messages_of_keras_tuner(space: SearchSpace, seed: int) -> None:
    hp = drawn(space, seed)
    genotype = read_genotype(space, hp)
    config = json.loads(json.dumps(hp.get_config()))
    for copy in (
        keras_tuner.HyperParameters.from_config(config),
        keras_tuner.HyperParameters.from_proto(hp.to_proto()),
    ):
        assert genotype_from(space, copy) == genotype
        assert len(copy.space) == len(hp.space)  # all were found again, none declared anew


@settings(max_examples=40)
@given(space=spaces())
def test_grid_search_meets_every_genotype(space: SearchSpace) -> None:
    assume(space.size <= 60)
    trials = Grid("loss", hyperparameters=declared(space)).walk()
    met = [read_genotype(space, hp) for hp in trials]
    assert set(met) == set(space.genotypes())
    if all(hp.values == genotype.params for hp, genotype in zip(trials, met, strict=True)):
        assert len(met) == space.size


def test_grid_search_comes_to_the_end_of_continuous_spaces() -> None:
    space = space_of(
        Maybe("wide", dense(Integer("units", 1, 40, log=True))),
        dropout(Float("rate", 0.1, 0.3, step=0.1)),
        training=[Float("learning_rate", 1e-4, 1e-1, log=True)],
    )
    met = [read_genotype(space, hp) for hp in Grid("loss", hyperparameters=declared(space)).walk()]
    assert len(set(met)) == len(met)
    assert {genotype["rate"] for genotype in met} == {0.1, 0.2, 0.3}
    widths = {genotype.get("wide/units") for genotype in met}
    assert {None, 1} < widths
    assert max(width for width in widths if width) >= 30


# --- conditions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("space", READY, ids=lambda space: space.name)
def test_ready_spaces_are_active_exactly_where_they_are_decided(space: SearchSpace) -> None:
    for seed in range(20):
        hp = drawn(space, seed + 1)
        assert read_genotype(space, hp).params == hp.values


def test_names_are_those_of_the_space_and_no_scope_is_left_inactive() -> None:
    for space in READY:
        hp = declared(space)
        assert [h.name for h in hp.space] == list(space.distributions())
        assert hp.inactive_scopes == hp.active_scopes == []


def test_scopes_of_the_caller_are_kept() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Boolean("deep")
    with hp.conditional_scope("deep", [True]):
        declare(READY[0], hp)
    assert len(hp.inactive_scopes) == 1
    assert active(hp) == {"deep"}


def test_copies_of_a_repetition_exist_from_their_depth_on() -> None:
    space = space_of(Repeat("block", 1, 3, dense(Choice("units", [2, 4]))))
    assert conditions(space) == {
        "block/depth": [],
        "block/0/units": [],
        "block/1/units": [("block/depth", [2, 3])],
        "block/2/units": [("block/depth", [3])],
    }


def test_branches_are_chains_of_conditions() -> None:
    inner = Choice("inner", {"a": dense(Integer("units", 1, 3)), "b": identity()})
    space = space_of(Maybe("outer", inner))
    assert conditions(space) == {
        "outer": [],
        "outer/inner": [("outer", [True])],
        "outer/inner=a/units": [("outer", [True]), ("outer/inner", ["a"])],
    }


def test_a_branch_of_several_subsets_has_all_of_their_values() -> None:
    parts = {"a": activation(Choice("f", ["relu", "tanh"])), "b": identity()}
    space = space_of(Subset("parts", parts, 1, 2))
    assert conditions(space)["parts/a/f"] == [("parts", ["a", "a+b"])]


def test_what_exists_under_values_of_an_integer_has_them_as_condition() -> None:
    bias = When("units", [8, 4], Choice("bias", [True, False]))
    space = space_of(layer("dense", units=Integer("units", 2, 8, step=2), use_bias=bias))
    assert conditions(space)["bias"] == [("units", [4, 8])]


@pytest.mark.parametrize(
    ("node", "last"),
    [
        (
            layer(
                "batch_normalization",
                momentum=Float("number", 0.1, 0.3, step=0.1),
                epsilon=When("momentum", [0.3], Choice("more", [1e-5, 1e-3])),
            ),
            0.3,
        ),
        (
            layer(
                "dense",
                units=Integer("number", 1, 9, log=True),
                use_bias=When("units", [9], Choice("more", [True, False])),
            ),
            9,
        ),
    ],
)
def test_what_exists_under_a_number_that_may_be_a_hair_off_is_always_there(
    node: Any, last: float
) -> None:
    space = space_of(node)
    hp = declared(space)
    assert active(hp) == {"number", "more"}
    other = list(hp.space[1].values)[1]
    hp.values = {"number": hp.space[0].prob_to_value(1.0), "more": other}
    assert hp.values["number"] > last
    assert read_genotype(space, hp).params == {"number": last, "more": other}
    hp.values["number"] = hp.space[0].default
    assert read_genotype(space, hp).params == {"number": hp.space[0].default}


def tied() -> Any:
    return activation(Tied(Choice("shared", ["relu", "tanh"])))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # At the root too: always there.
        ([Maybe("m", tied()), tied()], []),
        # Two branches of one choice: the values of both.
        (
            [Choice("c", {"a": tied(), "b": [dense(2), tied()], "d": identity()})],
            [("c", ["a", "b"])],
        ),
        # Every branch of a choice: wherever the choice is.
        ([Choice("c", {"a": tied(), "b": [dense(2), tied()]})], []),
        # Every copy of a repetition: where there is one.
        ([Repeat("r", 0, 3, tied())], [("r/depth", [1, 2, 3])]),
        # Inside of one choice, under unlike decisions: what they have in common.
        (
            [Choice("c", {"a": [Maybe("m", tied()), Maybe("n", tied())], "b": identity()})],
            [("c", ["a"])],
        ),
        # Under unlike decisions in two branches of one choice: those branches.
        (
            [Choice("c", {"a": Maybe("m", tied()), "b": Maybe("n", tied()), "d": identity()})],
            [("c", ["a", "b"])],
        ),
        # Under unlike decisions: nothing in common.
        ([Maybe("m", tied()), Maybe("n", tied())], []),
    ],
)
def test_a_tied_decision_is_registered_once(body: Any, expected: Any) -> None:
    space = space_of(*body)
    hp = declared(space)
    assert [h.name for h in hp.space].count("shared") == 1
    assert conditions(space)["shared"] == expected


def test_decisions_below_a_tied_one_follow_it() -> None:
    block = Tied(Choice("kind", {"a": dense(Choice("units", [2, 4])), "b": identity()}))
    space = space_of(Choice("c", {"x": block, "y": [dense(2), block], "z": identity()}))
    assert conditions(space)["kind=a/units"] == [("c", ["x", "y"]), ("kind", ["a"])]


def test_a_tied_decision_nobody_asks_for_is_ignored_and_keeps_its_default() -> None:
    space = space_of(Maybe("m", tied()), Maybe("n", tied()))
    hp = declared(space)
    hp.values.update({"m": False, "n": False, "shared": "tanh"})
    genotype = read_genotype(space, hp)
    assert genotype.params == {"m": False, "n": False}
    assert values_of(space, genotype) == {"m": False, "n": False, "shared": "relu"}


# --- domains -------------------------------------------------------------------------------------


def hyperparameter(node: Any) -> Any:
    (found,) = declared(space_of(dense(2), training=[node])).space
    return found


def test_kinds_of_hyperparameters() -> None:
    kinds: dict[Any, tuple[str, Mapping[str, Any]]] = {
        Choice("x", ["a", "b"]): ("Choice", {"values": ["a", "b"], "default": "a"}),
        Choice("x", [4]): ("Choice", {"values": [4]}),
        Choice("x", [1.0, 2.0]): ("Choice", {"values": [1.0, 2.0], "ordered": True}),
        Choice("x", [True, False]): ("Boolean", {"default": True}),
        Choice("x", [True]): ("Fixed", {"value": True}),
        Integer("x", 2, 8, step=3): ("Int", {"min_value": 2, "max_value": 8, "step": 3}),
        Integer("x", 2, 9, log=True): ("Int", {"sampling": "log", "step": None}),
        Integer("x", 2, 2): ("Int", {"min_value": 2, "max_value": 2}),
        Float("x", 0.5, 2.0): ("Float", {"max_value": 2.0, "step": None, "sampling": "linear"}),
        Float("x", 1e-3, 1.0, log=True): ("Float", {"min_value": 1e-3, "sampling": "log"}),
        Float("x", 0.0, 0.5, step=0.25): ("Float", {"max_value": 0.5, "step": 0.25}),
    }
    for node, (kind, attributes) in kinds.items():
        found = hyperparameter(node)
        assert type(found).__name__ == kind
        assert {name: getattr(found, name) for name in attributes} == attributes


@given(
    low=st.floats(-10, 10, allow_subnormal=False),
    step=st.sampled_from([0.1, 0.01, 0.05, 0.3, 1 / 3, 0.7, 1e-4]),
    count=st.integers(0, 40),
)
def test_every_step_of_a_float_is_reached(low: float, step: float, count: int) -> None:
    node = Float("x", low, low + count * step, step=step)
    space = space_of(dense(2), training=[node])
    hp = declared(space)
    found = set()
    for value in hp.space[0].values:
        hp.values["training/x"] = value
        found.add(read_genotype(space, hp)["training/x"])
    assert len(found) == count + 1
    assert max(found) == pytest.approx(node.high, abs=1e-9)


@given(
    node=st.one_of(
        st.builds(
            lambda low, span: Integer("x", low, low + span, log=True),
            st.integers(1, 50),
            st.integers(0, 300),
        ),
        st.builds(
            lambda low, span, log: Float("x", low, low + span, log=log),
            st.floats(1e-5, 1e3),
            st.floats(0, 1e3),
            st.booleans(),
        ),
        st.builds(
            lambda low, count, step: Integer("x", low, low + count * step, step=step),
            st.integers(-9, 9),
            st.integers(0, 20),
            st.integers(1, 7),
        ),
    ),
    share=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
)
def test_whatever_keras_tuner_draws_is_in_the_domain(node: Any, share: float) -> None:
    # BayesianOptimization asks for the ends of the unit interval, both included.
    space = space_of(dense(2), training=[node])
    hp = declared(space)
    hp.values["training/x"] = hp.space[0].prob_to_value(share)
    assert node.low <= read_genotype(space, hp)["training/x"] <= node.high


def test_values_outside_their_domain_are_refused() -> None:
    space = space_of(dense(Integer("units", 2, 4, log=True)))
    hp = declared(space)
    for value in (1, 6, 2.5, "2", True):
        hp.values["units"] = value
        with pytest.raises(GenotypeError, match=r"no value of the decision 'units'"):
            genotype_from(space, hp)


# --- reading -------------------------------------------------------------------------------------


def test_reading_changes_nothing_and_says_what_is_missing() -> None:
    hp = keras_tuner.HyperParameters()
    with pytest.raises(GenotypeError, match=r"'stage0/width' .* missing"):
        read_genotype(READY[0], hp)
    assert hp.space == []


def test_defaults_stand_in_for_values_a_host_left_out() -> None:
    hp = declared(READY[0])
    hp.values = {"stage0/width": 16}
    genotype = genotype_from(READY[0], hp)
    assert genotype["stage0/width"] == 16
    assert genotype["activation"] == "relu"


def test_name_scopes_are_honoured() -> None:
    hp = keras_tuner.HyperParameters()
    with hp.name_scope("network"):
        genotype_from(READY[0], hp)
        hp.values["network/stage0/block/depth"] = 1
        hp.ensure_active_values()
        genotype = read_genotype(READY[0], hp)
    assert genotype["stage0/block/depth"] == 1
    assert {f"network/{name}" for name in genotype} == set(hp.values)


def test_what_the_user_registered_stays() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Fixed("stage0/width", 32)
    hp.Choice("activation", ["silu"])
    genotype = genotype_from(READY[0], hp)
    assert (genotype["stage0/width"], genotype["activation"]) == (32, "silu")
    assert [h.name for h in hp.space].count("stage0/width") == 1


def test_a_genotype_of_another_space_is_refused() -> None:
    with pytest.raises(GenotypeError, match="missing"):
        values_of(READY[0], {"stage0/width": 8})


# --- defaults ------------------------------------------------------------------------------------


def test_defaults_are_the_first_values() -> None:
    space = space_of(
        dense(Choice("units", [8, 4])),
        Maybe("m", dropout(0.1)),
        training=[Float("learning_rate", 1e-4, 1e-1, log=True)],
    )
    expected = {"units": 8, "m": False, "training/learning_rate": 1e-4}
    assert default_genotype(space).params == declared(space).values == expected


def test_infeasible_defaults_are_replaced() -> None:
    space = SearchSpace(
        "shrinking",
        input_shape=(8, 8, 1),
        classes=2,
        body=[
            Repeat("pool", 2, 6, max_pooling(2, padding="valid")),
            conv(4, 3),
            Choice("width", {"wide": conv(64, 3), "narrow": conv(4, 3)}),
            global_average_pooling(),
        ],
        max_params=1000,
    )
    hp = declared(space)
    genotype = read_genotype(space, hp)
    assert space.feasible(genotype)
    assert genotype == default_genotype(space)
    assert genotype["width"] == "narrow"
    assert {h.name: h.default for h in hp.space}["width"] == "narrow"


def test_a_space_without_any_feasible_architecture_says_so() -> None:
    space = space_of(dense(Choice("units", [64, 128])), Scope("s", flatten()))
    narrow = SearchSpace.from_json(
        space.to_json().replace('"max_params": null', '"max_params": 10')
    )
    with pytest.raises(InfeasibleSpaceError, match="feasible"):
        declare(narrow, keras_tuner.HyperParameters())
