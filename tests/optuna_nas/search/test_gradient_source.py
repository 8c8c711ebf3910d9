"""Architectures drawn from logits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.errors import SupernetError
from optuna_nas.search import gradient_source
from optuna_nas.search.gradient_source import ArchitectureDistribution, unseen
from optuna_nas.space import (
    Choice,
    Float,
    Genotype,
    Repeat,
    SearchSpace,
    conv,
    dropout,
    global_average_pooling,
    identity,
)

# One to three layers, each a convolution of two widths or a skip: 3 + 9 + 27 genotypes.
SPACE = SearchSpace(
    "chain",
    input_shape=(8, 8, 1),
    classes=3,
    body=[
        Repeat(
            "block", 1, 3, Choice("op", {"conv": conv(Choice("f", [2, 4]), 3), "skip": identity()})
        ),
        global_average_pooling(),
    ],
    training=[Float("rate", 1e-4, 1e-1, log=True), Choice("batch", [16, 32])],
)
FLAT = SearchSpace(
    "flat",
    input_shape=(4, 4, 1),
    classes=2,
    body=[*(conv(Choice(f"w{i}", [1, 2, 3]), 1) for i in range(3)), global_average_pooling()],
)


def random_logits(space, seed, scale=2.0):
    rng = np.random.default_rng(seed)
    return {n: scale * rng.standard_normal(int(d.size)) for n, d in known(space).items()}


def known(space):
    return {n: d for n, d in space.distributions().items() if not n.startswith("training/")}


def structural(params):
    return Genotype({n: v for n, v in params.items() if not n.startswith("training/")})


@given(seed=st.integers(0, 1000), temperature=st.sampled_from([0.3, 1.0, 4.0]))
def test_probabilities_of_all_architectures_sum_to_one(seed, temperature):
    distribution = ArchitectureDistribution(SPACE, random_logits(SPACE, seed), temperature)
    every = {structural(genotype) for genotype in SPACE.genotypes()}
    total = sum(np.exp(distribution.log_probability(genotype)) for genotype in every)
    assert total == pytest.approx(1.0)


def test_a_probability_is_the_product_of_softmaxes_over_active_decisions():
    logits = {name: np.zeros(int(d.size)) for name, d in known(SPACE).items()}
    logits["block/0/op"] = np.log([3.0, 1.0])
    distribution = ArchitectureDistribution(SPACE, logits)
    skip = {"block/depth": 1, "block/0/op": "skip"}
    wide = {"block/depth": 1, "block/0/op": "conv", "block/0/op=conv/f": 4, "training/rate": 0.01}
    assert distribution.log_probability(skip) == pytest.approx(np.log(1 / 3 * 1 / 4))
    assert distribution.log_probability(wide) == pytest.approx(np.log(1 / 3 * 3 / 4 * 1 / 2))


def test_draws_come_as_often_as_they_are_probable():
    distribution = ArchitectureDistribution(SPACE, random_logits(SPACE, 3, scale=1.0))
    rng, n = np.random.default_rng(0), 4000
    counts = Counter(structural(distribution.draw(rng)) for _ in range(n))
    for genotype in {structural(genotype) for genotype in SPACE.genotypes()}:
        p = np.exp(distribution.log_probability(genotype))
        assert abs(counts[genotype] - n * p) <= 4.5 * np.sqrt(n * p * (1 - p)) + 1


def test_minus_infinity_is_never_drawn():
    logits = {**random_logits(FLAT, 0), "w1": np.array([-np.inf, 0.0, -np.inf])}
    distribution = ArchitectureDistribution(FLAT, logits)
    rng = np.random.default_rng(0)
    assert {distribution.draw(rng)["w1"] for _ in range(50)} == {2}
    assert len(list(distribution.ranked(rng))) == 9


def test_temperature_makes_draws_even_or_sure():
    logits = random_logits(FLAT, 1)
    rng = np.random.default_rng(0)
    cold = ArchitectureDistribution(FLAT, logits, 1e-3)
    assert {Genotype(cold.draw(rng)) for _ in range(20)} == {Genotype(cold.argmax(rng))}
    hot = ArchitectureDistribution(FLAT, logits, 1e6)
    assert hot.log_probability(hot.draw(rng)) == pytest.approx(np.log(1 / 27), abs=1e-4)


def test_the_argmax_follows_active_decisions():
    logits = {name: np.zeros(int(d.size)) for name, d in known(SPACE).items()}
    logits["block/depth"] = np.array([0.0, 1.0, 0.5])
    logits["block/1/op"] = np.array([-1.0, 1.0])
    best = ArchitectureDistribution(SPACE, logits).argmax(np.random.default_rng(0))
    assert structural(best).params == {
        "block/depth": 2,
        "block/0/op": "conv",
        "block/0/op=conv/f": 2,
        "block/1/op": "skip",
    }
    SPACE.genotype(best)  # what is trained is decided too


@given(seed=st.integers(0, 1000))
def test_ranked_gives_every_architecture_once(seed):
    distribution = ArchitectureDistribution(SPACE, random_logits(SPACE, seed))
    rng = np.random.default_rng(0)
    ranked = [structural(params) for params in distribution.ranked(rng)]
    assert len(ranked) == len(set(ranked)) == 3 + 9 + 27
    assert set(ranked) == {structural(genotype) for genotype in SPACE.genotypes()}


@given(seed=st.integers(0, 1000))
def test_ranked_goes_from_the_most_probable_on(seed):
    distribution = ArchitectureDistribution(FLAT, random_logits(FLAT, seed))
    rng = np.random.default_rng(0)
    p = [distribution.log_probability(params) for params in distribution.ranked(rng)]
    assert len(p) == 27
    assert p == sorted(p, reverse=True)


def test_fixed_decisions_are_kept():
    distribution = ArchitectureDistribution(FLAT, random_logits(FLAT, 0))
    rng = np.random.default_rng(0)
    for params in [distribution.draw(rng, {"w1": 3, "w2": "no value of it"}) for _ in range(9)]:
        assert params["w1"] == 3
        assert params["w2"] in (1, 2, 3)
    ranked = list(distribution.ranked(rng, {"w1": 3}))
    assert len({Genotype(params) for params in ranked}) == len(ranked) == 9
    assert all(params["w1"] == 3 for params in ranked)


def test_nothing_is_repeated_until_all_is_known():
    distribution = ArchitectureDistribution(FLAT, random_logits(FLAT, 0, scale=8.0))
    rng = np.random.default_rng(0)
    tried: list[Genotype] = []
    refused = FLAT.genotype({"w0": 1, "w1": 1, "w2": 1})
    for number in range(30):
        params, new = unseen(
            distribution,
            lambda params: Genotype(params) == refused,
            lambda params: Genotype(params) in tried,
            rng,
            {},
        )
        assert new == (number < 26)
        assert Genotype(params) != refused
        if number == 0:
            assert params == distribution.argmax(rng)
        tried.append(Genotype(params))
    assert len(set(tried)) == 26


def test_a_large_space_in_which_all_that_is_probable_is_known(monkeypatch):
    monkeypatch.setattr(gradient_source, "RANKED", 20)
    space = SearchSpace(
        "wide",
        input_shape=(4, 4, 1),
        classes=2,
        body=[*(conv(Choice(f"w{i}", [1, 2, 3]), 1) for i in range(30)), global_average_pooling()],
    )
    sure = {name: np.array([60.0, 0.0, 0.0]) for name in space.distributions()}
    distribution = ArchitectureDistribution(space, sure)
    rng, asked = np.random.default_rng(0), []

    def known(params):
        asked.append(params)
        return True

    params, new = unseen(distribution, lambda params: False, known, rng, {})
    assert not new
    assert set(params.values()) == {1}
    assert len(asked) == 1 + gradient_source.DRAWS + 20


def test_decisions_without_logits_are_drawn_evenly():
    space = SearchSpace(
        "with a rate",
        input_shape=(4, 4, 1),
        classes=2,
        body=[
            conv(Choice("w", [1, 2]), 1),
            global_average_pooling(),
            dropout(Float("rate", 0.0, 0.5)),
        ],
    )
    distribution = ArchitectureDistribution(space, {"w": np.array([9.0, 0.0])})
    rng = np.random.default_rng(0)
    rates = [distribution.draw(rng)["rate"] for _ in range(200)]
    assert np.mean(rates) == pytest.approx(0.25, abs=0.04)
    with pytest.raises(SupernetError, match="decision 'rate': a continuous decision can have none"):
        ArchitectureDistribution(space, {"w": np.zeros(2), "rate": np.zeros(3)})


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        ({"w0": [0, 0, 0], "w1": [0, 0, 0]}, "decision 'w2' of space 'flat' has none"),
        ({"w0": [0, 0]}, "decision 'w0': expected 3, one for each of its values, got .* shape"),
        ({"w0": [0, np.nan, 0]}, "decision 'w0': expected numbers.*nan.*diverged"),
        ({"w0": [0, np.inf, 0]}, "decision 'w0': expected numbers.*inf"),
        ({"w0": [-np.inf] * 3}, "decision 'w0': expected numbers.*-inf"),
    ],
)
def test_bad_logits(logits, message):
    with pytest.raises(SupernetError, match=message):
        ArchitectureDistribution(FLAT, {n: np.array(v, dtype=float) for n, v in logits.items()})
