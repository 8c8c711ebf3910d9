from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optuna_nas.search.density import log_density, rarity

finite = st.floats(-1e6, 1e6)
point_sets = st.integers(1, 3).flatmap(
    lambda d: st.tuples(
        arrays(float, st.tuples(st.integers(1, 8), st.just(d)), elements=finite),
        arrays(float, st.tuples(st.integers(0, 8), st.just(d)), elements=finite),
    )
)


def test_density_equals_the_one_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    data, points = rng.normal(5.0, 3.0, (30, 1)), rng.normal(5.0, 6.0, (10, 1))
    # scipy's bandwidth takes the standard deviation with n - 1.
    width = 30 ** (-1 / 5) * np.sqrt(29 / 30)
    theirs = np.log(stats.gaussian_kde(data[:, 0], bw_method=width)(points[:, 0]))
    ours = log_density(points, data)
    assert ours - ours[0] == pytest.approx(theirs - theirs[0])


def test_two_dimensions_are_a_product_whatever_their_units():
    data = np.array([[0.0, 0.0], [1.0, 1e6]])
    width = 0.5 * 2 ** (-1 / 6)
    kernel = np.exp(-0.5 * 2 * (1 / width) ** 2)
    expected = np.log([(1 + kernel) / 2, (1 + kernel) / 2])
    assert log_density(data, data) == pytest.approx(expected)


@given(point_sets)
def test_rarity_is_a_distribution_that_is_never_extreme(sets):
    points, data = sets
    probabilities = rarity(points, data)
    assert probabilities.shape == (len(points),)
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities.min() * (len(points) + len(data)) >= probabilities.max() * (1 - 1e-9)


def test_who_stands_alone_is_likelier_and_a_constant_dimension_does_not_count():
    points = np.array([[0.0, 7.0], [0.1, 7.0], [5.0, 7.0]])
    crowd = np.array([[0.0, 7.0], [0.05, 7.0], [-0.1, 7.0]])
    probabilities = rarity(points, crowd)
    assert probabilities[2] > 3 * probabilities[0]
    assert rarity(np.ones((4, 2)), np.ones((3, 2))).tolist() == [0.25] * 4


@pytest.mark.parametrize("scale", [1e-200, 1e300])
def test_density_knows_no_unit_however_large(scale):
    rng = np.random.default_rng(0)
    data, points = rng.normal(size=(9, 2)), rng.normal(size=(4, 2))
    assert log_density(points * scale, data * scale) == pytest.approx(log_density(points, data))
