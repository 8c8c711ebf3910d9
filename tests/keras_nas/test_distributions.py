"""Keras Tuner's hyperparameters as Optuna's distributions, and values both ways."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from keras_nas._keras_tuner import keras_tuner
from keras_nas.distributions import (
    distribution_of,
    nearest,
    parameter_names,
    parameters_of,
    suggest,
    walk,
)

kinds = keras_tuner.engine.hyperparameters
pytestmark = pytest.mark.usefixtures("quiet_optuna")


def test_ranges_keep_their_steps_and_scales() -> None:
    assert distribution_of(kinds.Int("n", 2, 9)) == IntDistribution(2, 9)
    assert distribution_of(kinds.Int("n", 2, 9, step=3)) == IntDistribution(2, 8, step=3)
    assert distribution_of(kinds.Int("n", 2, 9, sampling="log")) == IntDistribution(2, 9, log=True)
    assert distribution_of(kinds.Float("x", 0.1, 0.9)) == FloatDistribution(0.1, 0.9)
    assert distribution_of(kinds.Float("x", 0.1, 0.3, step=0.1)) == FloatDistribution(
        0.1, 0.3, step=0.1
    )
    log = kinds.Float("x", 1e-4, 1e-1, sampling="log")
    assert distribution_of(log) == FloatDistribution(1e-4, 1e-1, log=True)


def test_choices_keep_their_order() -> None:
    assert distribution_of(kinds.Choice("c", [3, 1, 2])) == CategoricalDistribution((3, 1, 2))
    assert distribution_of(kinds.Choice("c", ["a", "b", "a"])) == CategoricalDistribution(
        ("a", "b")
    )
    assert distribution_of(kinds.Boolean("b")) == CategoricalDistribution((False, True))
    assert distribution_of(kinds.Fixed("f", 7)) is None


def test_factors_are_choices() -> None:
    powers = distribution_of(kinds.Int("n", 8, 64, step=2, sampling="log"))
    assert powers == CategoricalDistribution((8, 16, 32, 64))
    floats = distribution_of(kinds.Float("x", 0.001, 0.1, step=10, sampling="log"))
    assert isinstance(floats, CategoricalDistribution)
    assert floats.choices == pytest.approx((0.001, 0.01, 0.1))
    reverse = distribution_of(kinds.Int("n", 1, 9, step=2, sampling="reverse_log"))
    assert reverse == CategoricalDistribution((9, 8, 6, 2))
    assert distribution_of(kinds.Float("x", 1.0, 9.0, sampling="reverse_log")) == FloatDistribution(
        1.0, 9.0
    )


def test_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match=r"hyperparameter: expected a Choice.* got object"):
        distribution_of(object())


# --- properties ----------------------------------------------------------------------------------

FLOATS = st.floats(1e-3, 1e3).map(lambda x: float(f"{x:.4g}"))


@st.composite
def choices(draw: Any) -> Any:
    values = draw(
        st.one_of(
            st.lists(st.integers(-9, 9), min_size=1, max_size=6),
            st.lists(FLOATS, min_size=1, max_size=6),
            st.lists(st.text(max_size=5), min_size=1, max_size=6),
        )
    )
    return kinds.Choice("h", values, ordered=False)


@st.composite
def integers(draw: Any) -> Any:
    low = draw(st.integers(1, 50))
    high = low + draw(st.integers(0, 200))
    sampling = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    if sampling != "linear":
        step = draw(st.sampled_from([None, 2, 3]))
        return kinds.Int("h", low, high, step=step, sampling=sampling)
    shift = draw(st.integers(-100, 0))
    return kinds.Int("h", low + shift, high + shift, step=draw(st.sampled_from([None, 1, 3, 7])))


@st.composite
def floats(draw: Any) -> Any:
    low = draw(FLOATS)
    high = low + draw(FLOATS)
    sampling = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    steps = [None, 2.0, 10.0] if sampling != "linear" else [None, (high - low) / 7, 0.1]
    step = draw(st.sampled_from(steps))
    if sampling == "linear" and step is not None:
        high = max(high, low + step)
    return kinds.Float("h", low, high, step=step, sampling=sampling)


HYPERPARAMETERS = st.one_of(choices(), integers(), floats(), st.builds(kinds.Boolean, st.just("h")))
FULL = settings(max_examples=80)


@FULL
@given(hyperparameter=HYPERPARAMETERS, seed=st.integers(0, 2**20))
def test_what_keras_tuner_draws_is_in_the_distribution(hyperparameter: Any, seed: int) -> None:
    distribution = distribution_of(hyperparameter)
    assert distribution is not None
    value = hyperparameter.random_sample(seed)
    found = nearest(distribution, value)
    assert found is not None
    assert distribution._contains(distribution.to_internal_repr(found))
    same_type = type(found) is type(value) or isinstance(hyperparameter, kinds.Boolean)
    assert same_type
    assert found == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value)


@FULL
@given(hyperparameter=HYPERPARAMETERS, seed=st.integers(0, 2**20))
def test_what_optuna_draws_is_a_value_of_keras_tuner(hyperparameter: Any, seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    value = suggest(trial, "h", hyperparameter)
    assert trial.distributions["h"] == distribution_of(hyperparameter)
    assert nearest(trial.distributions["h"], value) == value
    if isinstance(hyperparameter, kinds.Choice):
        assert value in hyperparameter.values
        return
    if isinstance(hyperparameter, kinds.Boolean):
        assert value in (False, True)
        return
    low, high, step = hyperparameter.min_value, hyperparameter.max_value, hyperparameter.step
    assert isinstance(value, int) == isinstance(hyperparameter, kinds.Int)
    assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9) or low <= value <= high
    if step is not None and hyperparameter.sampling == "linear":
        steps = (value - low) / step
        assert math.isclose(steps, round(steps), abs_tol=1e-6)
    if step is not None and hyperparameter.sampling == "log":
        power = math.log(value / low, step)
        assert math.isclose(power, round(power), abs_tol=1e-6)


@FULL
@given(hyperparameter=st.one_of(choices(), integers(), floats()))
def test_as_many_values_as_keras_tuner_counts(hyperparameter: Any) -> None:
    distribution = distribution_of(hyperparameter)
    if isinstance(distribution, CategoricalDistribution) and not isinstance(
        hyperparameter, kinds.Choice
    ):
        expected = 1 + math.floor(
            math.log(hyperparameter.max_value / hyperparameter.min_value, hyperparameter.step)
            + 1e-8
        )
        assert len(distribution.choices) == expected
    elif isinstance(distribution, CategoricalDistribution):
        assert set(distribution.choices) == set(hyperparameter.values)
    elif isinstance(distribution, IntDistribution):
        drawn = range(
            hyperparameter.min_value, hyperparameter.max_value + 1, hyperparameter.step or 1
        )
        assert (distribution.low, distribution.high) == (drawn[0], drawn[-1])


# --- nearest -------------------------------------------------------------------------------------


def test_rounding_is_forgiven_and_nothing_else() -> None:
    stepped = FloatDistribution(0.0, 0.9, step=0.3)
    assert nearest(stepped, 0.1 + 0.2) == pytest.approx(0.3)
    assert nearest(stepped, 0.31) is None
    assert nearest(FloatDistribution(0.0, 1.0), 1.0 + 1e-12) == 1.0
    assert nearest(FloatDistribution(0.0, 1.0), 1.001) is None
    assert nearest(IntDistribution(1, 9, step=2), 5.0) == 5
    assert type(nearest(IntDistribution(1, 9), 5.0)) is int
    assert nearest(IntDistribution(1, 9, step=2), 4) is None
    assert nearest(IntDistribution(1, 9), 4.5) is None
    assert nearest(IntDistribution(1, 9), 10) is None
    floats = CategoricalDistribution((0.1, 0.1 + 0.2))
    assert nearest(floats, 0.3) == 0.1 + 0.2


def test_one_is_not_true() -> None:
    assert nearest(CategoricalDistribution((1, 2)), True) is None
    assert nearest(CategoricalDistribution(("a", "1")), 1) is None
    assert nearest(IntDistribution(0, 1), True) is None
    assert nearest(FloatDistribution(0.0, 1.0), "0.5") is None
    assert nearest(CategoricalDistribution((False, True)), 1) is True  # JSON and protobuf do so


# --- names and conditions ------------------------------------------------------------------------


def _twice() -> Any:
    """One name under two conditions, with a range each."""
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["narrow", "wide", "none"])
    with hp.conditional_scope("kind", ["narrow"]):
        hp.Int("units", 1, 4)
    with hp.conditional_scope("kind", ["wide"]):
        hp.Int("units", 100, 400)
    return hp


def _draw(hp: Any, kind: str) -> tuple[optuna.Trial, dict[str, Any]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial({"kind": kind})
    trial = study.ask()
    return trial, walk(hp.space, lambda one, name: suggest(trial, name, one))


def test_a_name_under_two_conditions_is_two_parameters() -> None:
    hp = _twice()
    assert parameter_names(hp.space) == ["kind", "units", "units [kind=['wide']]"]
    for kind, low, high in (("narrow", 1, 4), ("wide", 100, 400)):
        trial, values = _draw(hp, kind)
        assert set(values) == {"kind", "units"}
        assert low <= values["units"] <= high
        back = parameters_of(hp.space, values)
        assert {name: value for name, (value, _) in back.items()} == trial.params
        assert {name: one for name, (_, one) in back.items()} == trial.distributions
    trial, values = _draw(hp, "none")
    assert values == trial.params == {"kind": "none"}


def test_the_same_range_under_two_conditions_is_one_parameter() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Boolean("deep")
    for deep in (False, True):
        with hp.conditional_scope("deep", [deep]):
            hp.Int("units", 1, 4)
    assert parameter_names(hp.space) == ["deep", "units", "units"]


def test_a_child_may_stand_before_its_parent() -> None:
    hp = _twice()
    shuffled = list(reversed(hp.space))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial({"kind": "wide"})
    trial = study.ask()
    values = walk(shuffled, lambda one, name: suggest(trial, name, one))
    assert values["units"] >= 100
    assert set(parameters_of(shuffled, values)) == set(trial.params)


def test_what_is_inactive_or_impossible_is_left_out() -> None:
    hp = _twice()
    hp.Fixed("fixed", 3)
    hp.Int("odd", 1, 9, step=2)
    values = {"kind": "none", "units": 3, "fixed": 3, "odd": 4}
    assert set(parameters_of(hp.space, values)) == {"kind"}


def test_fixed_values_are_decided_by_nobody() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Fixed("fixed", "x")
    with hp.conditional_scope("fixed", ["x"]):
        hp.Int("units", 1, 4)
    trial = optuna.create_study().ask()
    values = walk(hp.space, lambda one, name: suggest(trial, name, one), {"given": 1})
    assert values["fixed"] == "x"
    assert values["given"] == 1
    assert set(trial.params) == {"units"}
