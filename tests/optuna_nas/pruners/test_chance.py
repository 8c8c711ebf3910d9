"""The chance to join a front, against counting and against known cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optuna_nas.pruners._chance import Below, certain, chance_to_join, joins, with_point


def normal(mean: float, std: float = 1.0) -> Below:
    return lambda value: 0.5 * (1.0 + math.erf((value - mean) / (std * math.sqrt(2.0))))


def test_one_objective_is_the_chance_to_beat_the_best() -> None:
    front = np.array([[0.5]])
    assert chance_to_join(front, [normal(0.0)]) == pytest.approx(normal(0.0)(0.5))


def test_an_empty_front_is_always_joined() -> None:
    assert chance_to_join(np.empty((0, 2)), [normal(0.0), normal(5.0)]) == 1.0


def test_a_known_objective_leaves_the_points_that_are_no_worse_there() -> None:
    front = np.array([[1.0, 0.9], [2.0, 0.5], [3.0, 0.2]])
    # At latency 2.5 the rivals are those of 1 and 2, the better of which has the loss 0.5.
    assert chance_to_join(front, [certain(2.5), normal(0.6, 0.1)]) == pytest.approx(
        normal(0.6, 0.1)(0.5)
    )
    assert chance_to_join(front, [certain(0.5), normal(9.0)]) == 1.0


def test_an_equal_known_value_is_no_improvement() -> None:
    assert chance_to_join(np.array([[1.0]]), [certain(1.0)]) == 0.0


@given(
    front=arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 3)), elements=st.floats(-2, 2))
)
def test_agrees_with_counting(front: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(4000, front.shape[1]))
    dominated = np.all(front[None] <= samples[:, None], axis=2).any(axis=1)
    exact = chance_to_join(front, [normal(0.0)] * front.shape[1])
    assert exact == pytest.approx(1.0 - dominated.mean(), abs=0.04)  # five standard errors


@given(points=arrays(float, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(0, 5)))
def test_a_front_grown_point_by_point_is_the_front(points: np.ndarray) -> None:
    front = np.empty((0, 2))
    for point in points:
        front = with_point(front, point)
    rivals = {tuple(p) for p in points if not any(np.all(q <= p) and np.any(q < p) for q in points)}
    assert {tuple(p) for p in front} == rivals
    assert len(front) == len(rivals)
    assert not any(joins(front, point) for point in points)
