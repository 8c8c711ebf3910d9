"""Acquisition functions against integration and simulation; hypervolume against known cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from optuna_nas.search.acquisition import (
    expected_hypervolume_improvement,
    expected_shortfall,
    positive_directions,
    probability_above,
    sampled_hypervolume_improvement,
)
from optuna_nas.search.hypervolume import hypervolume

unit = st.floats(0.0, 1.0)


@pytest.mark.parametrize(("best", "mean", "sd"), [(0.0, 0.0, 1.0), (0.5, 1.5, 0.7), (2.0, 1.0, 3)])
def test_expected_improvement_is_an_integral(best, mean, sd):
    expected, _ = quad(lambda f: (best - f) * norm.pdf(f, mean, sd), mean - 12 * sd, best)
    found = expected_shortfall(best, np.array([mean]), np.array([sd]))
    assert found == pytest.approx([expected], rel=1e-6)


def test_what_is_known_improves_by_its_distance():
    found = expected_shortfall(1.0, np.array([0.25, 3.0]), np.zeros(2))
    assert found.tolist() == [0.75, 0.0]


def test_probability_above():
    found = probability_above(0.0, np.array([0.0, 1.96]), np.ones(2))
    assert found == pytest.approx([0.5, 0.975], abs=1e-4)


@given(st.lists(st.tuples(unit, unit), max_size=6), unit, unit)
@settings(deadline=None, max_examples=60)
def test_improvement_of_a_known_point_is_the_growth_of_the_hypervolume(front, x, y):
    points = np.array(front).reshape(-1, 2)
    reference = np.array([0.9, 0.95])
    found = expected_hypervolume_improvement(
        points, reference, np.array([[x, y]]), np.zeros((1, 2))
    )
    grown = hypervolume(np.vstack([points, [[x, y]]]), reference)
    assert found[0] == pytest.approx(grown - hypervolume(points, reference), abs=1e-9)


@pytest.mark.parametrize("sd", [(0.2, 0.3), (0.2, 0.0), (0.0, 0.3)])
def test_expected_hypervolume_improvement_by_simulation(sd):
    rng = np.random.default_rng(0)
    front = np.array([[0.1, 0.8], [0.4, 0.5], [0.45, 0.6], [0.7, 0.1]])
    reference, mean = np.array([1.0, 1.0]), np.array([0.4, 0.4])
    before = hypervolume(front, reference)
    draws = mean + np.array(sd) * rng.standard_normal((4000, 2))
    growth = [hypervolume(np.vstack([front, draw]), reference) - before for draw in draws]
    found = expected_hypervolume_improvement(
        front, reference, mean[None], np.array(sd, dtype=float)[None]
    )
    error = np.std(growth) / np.sqrt(len(growth))
    assert found[0] == pytest.approx(np.mean(growth), abs=4 * error + 1e-12)


def test_sampled_improvement_is_proportional_to_the_hypervolume():
    rng = np.random.default_rng(0)
    front, reference = rng.random((4, 3)), np.ones(3)
    candidates = rng.random((5, 3)) * 0.7
    found = sampled_hypervolume_improvement(
        front, reference, candidates[None], positive_directions(100_000, 3, rng)
    )
    before = hypervolume(front, reference)
    exact = [hypervolume(np.vstack([front, c]), reference) - before for c in candidates]
    # The mean over the orthant of its sphere, of radius^3 / 3, times its area pi / 2.
    np.testing.assert_allclose(found * np.pi / 6, exact, rtol=0.05, atol=1e-3)


def test_hypervolume_of_known_bodies():
    assert hypervolume(np.empty((0, 2)), np.ones(2)) == 0.0
    assert hypervolume(np.array([[0.25, 0.5], [0.5, 0.25]]), np.ones(2)) == pytest.approx(0.5)
    assert hypervolume(np.array([[0.5, 0.5, 0.5], [2.0, 0, 0]]), np.ones(3)) == pytest.approx(0.125)
    boxes = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.5]])
    assert hypervolume(boxes, np.ones(3)) == pytest.approx(1 - 0.5**3)
