"""The Gaussian process against its textbook formulas and an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_nas.search.surrogate import (
    GaussianProcess,
    Hyperparameters,
    _negative_log_posterior,
    _squared_distances,
    fit_hyperparameters,
)
from optuna_nas.search.surrogate_columns import Columns
from optuna_nas.search.surrogate_targets import clipped, half_ranked

GROUPS = np.array([0, 0, 1, 2])


def data(n: int = 25, seed: int = 0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4))
    y = np.sin(features[:, 0]) + 0.5 * features[:, 2] + 0.05 * rng.normal(size=n)
    return features, (y - y.mean()) / y.std()


def test_two_points_by_hand():
    """Matern 5/2 at distance 1 and weight 1: (1 + 5**.5 + 5/3) exp(-5**.5) = 0.523994."""
    process = GaussianProcess(
        Hyperparameters(np.array([1.0]), matern=1.0, linear=0.0, noise=0.0),
        np.array([0]),
        np.array([[0.0]]),
    )
    mean, variance = process.posterior(np.array([2.0]), np.array([[1.0]]))
    assert mean == pytest.approx([2 * 0.523994], abs=1e-5)
    assert variance == pytest.approx([1 - 0.523994**2], abs=1e-5)


def test_posterior_equals_that_of_scikit_learn():
    gaussian = pytest.importorskip("sklearn.gaussian_process")
    kernels = pytest.importorskip("sklearn.gaussian_process.kernels")
    features, y = data()
    at, _ = data(10, seed=1)
    hyper = Hyperparameters(np.array([0.5, 2.0, 0.1]), matern=1.3, linear=0.6, noise=0.02)
    scales = 1 / np.sqrt(hyper.weights[GROUPS])
    kernel = 1.3 * kernels.Matern(scales, "fixed", nu=2.5) + 0.2 * kernels.DotProduct(0.0, "fixed")
    reference = gaussian.GaussianProcessRegressor(kernel, alpha=0.02 + 1e-6, optimizer=None)
    expected, sd = reference.fit(features, y).predict(at, return_std=True)
    mean, variance = GaussianProcess(hyper, GROUPS, features).posterior(y, at)
    np.testing.assert_allclose(mean, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(np.sqrt(variance), sd, rtol=1e-6)


def test_adding_one_by_one_equals_beginning_with_all():
    features, y = data(150)
    hyper = Hyperparameters(np.array([0.5, 2.0, 0.1]), matern=1.3, linear=0.6, noise=0.02)
    grown = GaussianProcess(hyper, GROUPS, features[:3])
    for row in features[3:100]:
        grown.add(row)
    extended = grown.extended(features[100:])
    whole = GaussianProcess(hyper, GROUPS, features)
    at, _ = data(8, seed=2)
    for a, b in zip(extended.posterior(y, at), whole.posterior(y, at), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
    # The copy left the original alone.
    expected = GaussianProcess(hyper, GROUPS, features[:100]).posterior(y[:100], at)
    np.testing.assert_allclose(grown.posterior(y[:100], at), expected, rtol=1e-6, atol=1e-9)


def test_smoothed_is_the_posterior_mean_at_the_observations():
    features, y = data()
    process = GaussianProcess(fit_hyperparameters(features, GROUPS, y), GROUPS, features)
    mean, _ = process.posterior(y, features)
    np.testing.assert_allclose(process.smoothed(y), mean, atol=1e-6)


def test_gradient_of_the_likelihood_by_finite_differences():
    features, y = data(12)
    distances = np.stack([_squared_distances(f, f) for f in (features[:, :2], features[:, 2:])])
    theta = np.array([-0.5, 0.3, 0.2, -1.0, -3.0])
    mean, sd = np.zeros(5), np.full(5, 1.5)
    arguments = (distances, features @ features.T, y, mean, sd)
    _, gradient = _negative_log_posterior(theta, *arguments)
    for index in range(5):
        step = np.zeros(5)
        step[index] = 1e-5
        ahead, _ = _negative_log_posterior(theta + step, *arguments)
        behind, _ = _negative_log_posterior(theta - step, *arguments)
        assert gradient[index] == pytest.approx((ahead - behind) / 2e-5, rel=1e-4, abs=1e-5)


def test_fitting_finds_which_features_matter_and_how_much_noise_there_is():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 4))
    y = np.sin(2 * features[:, 2]) + 0.3 * rng.normal(size=120)
    sd = y.std()
    found = fit_hyperparameters(features, GROUPS, (y - y.mean()) / sd)
    assert found.weights[1] > 5 * found.weights[0]
    assert found.weights[1] > 5 * found.weights[2]
    assert 0.2 < np.sqrt(found.noise) * sd < 0.4


def test_columns_group_the_values_of_a_decision_and_drop_what_never_differs():
    rows = [
        {"op": 1.0, "op=conv": 1.0, "depth": 2.0},
        {"op": 1.0, "op=pool": 1.0, "depth": 4.0},
        {"op": 1.0, "op=pool": 1.0, "depth": 6.0},
    ]
    columns = Columns(rows)
    matrix = columns.matrix(rows)
    assert matrix.shape == (3, 3)  # depth, op=conv, op=pool
    assert columns.groups.tolist() == [0, 1, 1]
    assert np.sum((matrix[0] - matrix[1])[1:] ** 2) == pytest.approx(1.0)  # another value
    pairs = _squared_distances(matrix[:, :1], matrix[:, :1])
    assert pairs.mean() == pytest.approx(1.0)
    assert columns.matrix([{"never seen": 3.0, "depth": 4.0}])[0, 0] == pytest.approx(0.0)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(np.inf), min_size=1, max_size=40))
@settings(deadline=None, max_examples=100)
def test_half_ranked_scores_keep_the_order(losses):
    values = np.array(losses)
    scores = half_ranked(values)
    assert np.isfinite(scores).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(scores[order]) >= -1e-9).all()


@pytest.mark.parametrize("scale", [1e-307, 1e300, 1.7e307])
def test_targets_know_no_unit_however_large(scale):
    losses = np.array([-10.0, 3.0, 4.0, 10.0, 5.0, -9.0])
    assert half_ranked(losses * scale) == pytest.approx(half_ranked(losses))
    targets, mean, sd = clipped(losses * scale, 8.0 * scale)
    expected = clipped(losses, 8.0)
    assert targets == pytest.approx(expected[0])
    assert (mean / scale, sd / scale) == pytest.approx(expected[1:])


def test_half_ranked_is_linear_where_it_is_good_and_robust_where_it_is_bad():
    losses = np.array([1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
    scores = half_ranked(losses)
    assert (scores[2] - scores[0]) / (scores[1] - scores[0]) == pytest.approx(3.0)
    outlying = half_ranked(np.append(losses[:-1], 1e9))
    np.testing.assert_allclose(outlying, scores)
    tiers = [(0,), (0,), (0,), (1,), (3,), (2,)]
    ranked = half_ranked(np.array([1.0, 2.0, 3.0, np.inf, np.inf, np.inf]), tiers)
    assert ranked[3] < ranked[5] < ranked[4]


def test_clipped_targets_go_back_to_losses():
    target, mean, sd = clipped(np.array([1.0, 3.0, np.inf, -np.inf]), 5.0)
    np.testing.assert_allclose(target * sd + mean, [1.0, 3.0, 5.0, 1.0])
    assert target.mean() == pytest.approx(0.0)
