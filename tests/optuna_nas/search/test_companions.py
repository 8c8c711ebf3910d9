"""Decisions that come into being with the value of another."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search import Fitness, Individual
from optuna_nas.search.companions import Companions
from optuna_nas.space.decisions import Categorical, FloatRange, IntegerRange

DOMAINS = {
    "depth": IntegerRange(1, 3),
    "op0": Categorical(("conv", "skip")),
    "op1": Categorical(("conv", "skip")),
    "op2": Categorical(("conv", "skip")),
    "kernel1": Categorical((3, 5)),
    "rate": FloatRange(0.0, 1.0),
}


def individual(**params) -> Individual:
    return Individual((0.0, 0), params, DOMAINS, Fitness((0.0,)))


SEEN = (
    individual(depth=1, op0="conv"),
    individual(depth=2, op0="conv", op1="skip"),
    individual(depth=2, op0="skip", op1="conv", kernel1=3),
    individual(depth=3, op0="skip", op1="conv", kernel1=3, op2="conv", rate=0.5),
)


def test_what_comes_into_being_is_drawn_and_what_comes_with_that_too():
    companions = Companions()
    for seen in SEEN:
        companions.learn(seen)
    kernels = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        child = companions.complete({"depth": 2, "op0": "conv"}, ["depth"], DOMAINS, rng)
        assert list(child) == ["depth", "op0", "op1"] + ["kernel1"] * (child["op1"] == "conv")
        kernels += "kernel1" in child
    assert 5 < kernels < 25


def test_what_was_not_seen_or_is_not_free_stays_missing():
    companions = Companions()
    for seen in SEEN[:2]:
        companions.learn(seen)
    rng = np.random.default_rng(0)
    assert companions.complete({"depth": 3}, ["depth"], DOMAINS, rng) == {"depth": 3}
    only = {"depth": DOMAINS["depth"]}
    assert companions.complete({"depth": 2}, ["depth"], only, rng) == {"depth": 2}


def test_what_seems_to_come_with_a_part_but_not_with_the_whole_is_left_out():
    companions = Companions()
    for seen in SEEN[:3]:
        companions.learn(seen)
    companions.learn(individual(depth=3, op0="conv", op1="conv", kernel1=5, op2="skip"))
    # A kernel of 5 was seen in depth 3 alone, and depth 2 without a third layer.
    child = {"depth": 2, "op0": "conv", "op1": "conv", "kernel1": 5}
    assert companions.complete(child, ["depth"], DOMAINS, np.random.default_rng(0)) == child
    assert companions.existing({**child, "op2": "conv"}) == child


def test_what_does_not_exist_is_left_out():
    companions = Companions()
    for seen in SEEN:
        companions.learn(seen)
    whole = {"depth": 2, "op0": "skip", "op1": "conv", "op2": "skip", "kernel1": 5, "rate": 0.1}
    assert list(companions.existing(whole)) == ["depth", "op0", "op1", "kernel1"]
    assert list(companions.existing({**whole, "op1": "skip"})) == ["depth", "op0", "op1"]
    assert list(companions.existing({**whole, "depth": 1})) == ["depth", "op0"]


def test_values_of_continuous_decisions_teach_nothing_and_take_no_memory():
    companions = Companions()
    for i in range(100):
        companions.learn(individual(depth=1, op0="conv", rate=i / 100))
    child = companions.complete({"rate": 0.5}, ["rate"], DOMAINS, np.random.default_rng(0))
    assert child == {"rate": 0.5}
    assert len(companions._always) == len(companions._ever) == 2


@given(st.permutations(SEEN))
def test_the_order_of_learning_does_not_matter(order):
    sorted_, permuted = Companions(), Companions()
    for seen in SEEN:
        sorted_.learn(seen)
    for seen in order:
        permuted.learn(seen)
    assert sorted_._always == permuted._always
    assert sorted_._ever == permuted._ever
    assert sorted_._roots == permuted._roots
