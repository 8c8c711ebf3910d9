from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.curves.posterior import Posterior, student_logpdf
from optuna_nas.curves.regression import Regression
from optuna_nas.curves.stack import PRIOR_TRUST, WIDTHS, Summary, pool, stacking


def data(seed, m=25):
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(m), rng.normal(size=(m, 2))])
    return x, x @ np.array([0.5, -1.0, 2.0]) + 0.3 * rng.normal(size=m)


PRIOR = np.array([10.0, 10.0, 10.0])


def fit(x, y):
    weights = np.ones(len(y))
    return Regression._weighted(x, y, weights, PRIOR, 0.1, 3.0)


def test_left_out_forecasts_are_those_of_a_fit_without_the_row():
    x, y = data(0)
    all_rows = fit(x, y)
    for i in range(len(y)):
        without = fit(np.delete(x, i, axis=0), np.delete(y, i))
        location, scale = without.forecast(x[i])
        assert all_rows.held_out_mean[i] == pytest.approx(location)
        assert all_rows.held_out_scale[i] == pytest.approx(scale)


def test_one_exploded_run_does_not_move_the_rest():
    x, y = data(1)
    clean = Regression.fit(x, y, prior=PRIOR, prior_variance=0.1)
    y[3] = 100.0
    dirty = Regression.fit(x, y, prior=PRIOR, prior_variance=0.1)
    plain = fit(x, y)
    robust_error = np.abs(dirty.coefficients - clean.coefficients).max()
    assert robust_error < 0.5 * np.abs(plain.coefficients - clean.coefficients).max()


def test_stacking_trusts_who_forecast_well():
    good, bad = np.ones(50), np.full(50, 0.1)
    trust = stacking(np.column_stack([good, bad, bad, bad, bad]), PRIOR_TRUST)
    assert trust.sum() == pytest.approx(1.0)
    assert trust[0] > 0.85
    few = stacking(np.column_stack([bad, good, bad, bad, bad])[:1], PRIOR_TRUST)
    assert few[0] > 0.2  # one curve proves little


def table(z):
    """Log densities that a standard Student-t of every width gives."""
    return student_logpdf(z / WIDTHS[:, None], 6) - np.log(WIDTHS)[:, None]


@pytest.mark.parametrize("true", WIDTHS[2:-1])
def test_the_best_width_is_the_true_one(true):
    z = true * np.random.default_rng(0).standard_t(6, 2000)
    widths, trust = pool(np.stack([table(z)] * 5))
    assert widths == pytest.approx([true] * 5)
    assert trust.sum() == pytest.approx(1.0)


def test_forecasters_who_err_on_their_own_are_narrowed_together():
    """Each is as wide as it should be, but where they are mixed too wide."""
    errors = np.random.default_rng(0).standard_t(6, (5, 2000))
    alone, _ = pool(np.stack([table(errors[0])] * 5))
    mixed, _ = pool(np.stack([table(z) for z in errors]))
    assert np.all(mixed < alone)


def test_the_unit_of_the_losses_does_not_matter_to_the_pool():
    tables = np.stack([table(z) for z in np.random.default_rng(0).standard_t(6, (5, 12))])
    for plain, moved in zip(pool(tables), pool(tables - 300.0), strict=True):
        np.testing.assert_allclose(plain, moved)


def test_an_absurd_component_hardly_moves_the_summary():
    weights = np.array([0.45, 0.45, 0.1])
    forecast = Posterior(weights, np.array([0.9, 1.0, 1e9]), np.full(3, 0.1), 6, maximize=False)
    assert Summary.of(forecast).center == 1.0
    assert Summary.of(forecast).spread < 0.3
