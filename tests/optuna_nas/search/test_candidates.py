from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from optuna_nas.search import Memory, ParameterEncoding
from optuna_nas.search.candidates import best_by_score, distinct, known_losses, measured, rarest

CANDIDATES = [{"x": x} for x in range(5)]


def test_what_repeats_or_is_known_is_left_out():
    memory = Memory(ParameterEncoding())
    memory.archive.finish(0, next(memory.encoding.identities({"x": 1})))
    numbers = itertools.count()

    def draw():
        return {"x": next(numbers) % 3}

    assert distinct(draw, 10, memory, unknown=True) == [{"x": 0}, {"x": 2}]
    numbers = itertools.count()
    assert distinct(draw, 10, memory, unknown=False) == [{"x": 0}, {"x": 1}, {"x": 2}]


def test_failures_and_what_is_not_finite_count_as_unknown():
    def measure(params):
        if params["x"] == 0:
            raise MemoryError("too large")
        return {1: math.nan, 2: math.inf, 3: 3}.get(params["x"], np.float32(0.5))

    values = measured("score", measure, CANDIDATES)
    assert np.isnan(values).tolist() == [True, True, True, False, False]
    assert values[3:].tolist() == [3.0, 0.5]
    assert best_by_score(measure, CANDIDATES) == {"x": 3}


def test_what_fails_for_all_is_told():
    with pytest.warns(RuntimeWarning, match=r"score failed for all of 5 candidates.*KeyError\('y'"):
        assert best_by_score(lambda params: params["y"], CANDIDATES) is None
    assert best_by_score(lambda params: math.nan, CANDIDATES) is None
    assert best_by_score(lambda params: 1.0, []) is None


def test_known_losses_have_the_sign_of_a_minimised_objective():
    functions = {2: lambda p: p["x"] * 10, 0: lambda p: -p["x"]}
    losses = known_losses(functions, (True, False, False), CANDIDATES)
    assert losses.tolist() == [[10.0 * x, float(x)] for x in range(5)]
    infinite = known_losses({0: lambda p: math.inf}, (False, False), CANDIDATES[:1])
    assert np.isnan(infinite).all()


def test_the_rarest_is_drawn_among_those_whose_objectives_are_known():
    rng = np.random.default_rng(0)
    losses = np.array([[0.0], [0.1], [np.nan], [9.0], [0.2]])
    others = np.array([[0.0], [0.05], [0.15]])
    drawn = [rarest(CANDIDATES, losses, others, rng)["x"] for _ in range(300)]
    assert 2 not in drawn
    assert set(drawn) == {0, 1, 3, 4}
    assert drawn.count(3) > 2 * drawn.count(0)
    assert rarest(CANDIDATES[2:3], losses[2:3], others, rng) is None
