from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from optuna_nas.curves import Posterior
from optuna_nas.curves.posterior import student_cdf, student_logpdf, student_pdf
from optuna_nas.errors import CurveError

TWO = Posterior(np.array([0.25, 0.75]), np.array([-1.0, 2.0]), np.array([0.5, 2.0]), 6, False)


@pytest.mark.parametrize("degrees", [4, 6, 12, 30])
def test_student_distribution_is_scipys(degrees):
    z = np.linspace(-12, 12, 201)
    np.testing.assert_allclose(student_cdf(z, degrees), stats.t.cdf(z, degrees), atol=1e-14)
    np.testing.assert_allclose(student_logpdf(z, degrees), stats.t.logpdf(z, degrees), atol=1e-12)
    np.testing.assert_allclose(student_pdf(z, degrees), stats.t.pdf(z, degrees), rtol=1e-10)


def test_moments_are_those_of_the_mixture():
    draws = stats.t.rvs(6, size=(2, 400_000), random_state=np.random.default_rng(0))
    first = np.random.default_rng(1).random(400_000) < 0.25
    sample = np.where(first, -1.0 + 0.5 * draws[0], 2.0 + 2.0 * draws[1])
    assert TWO.mean == pytest.approx(sample.mean(), abs=0.02)
    assert TWO.std == pytest.approx(sample.std(), rel=0.02)
    assert TWO.cdf(0.5) == pytest.approx((sample <= 0.5).mean(), abs=0.005)


@given(st.floats(0.001, 0.999))
def test_quantile_inverts_the_distribution(q):
    assert TWO.cdf(TWO.quantile(q)) == pytest.approx(q, abs=1e-9)


def test_quantiles_of_an_array():
    quantiles = TWO.quantile(np.array([0.05, 0.5, 0.95]))
    assert quantiles.shape == (3,)
    assert quantiles[1] == TWO.quantile(0.5)
    assert np.all(np.diff(quantiles) > 0)


@pytest.mark.parametrize("q", [0.0, 1.0, -1.0, math.nan])
def test_quantile_outside(q):
    with pytest.raises(CurveError, match="q: expected probabilities in"):
        TWO.quantile(q)


def test_density_is_the_slope_of_the_distribution():
    for value in (-3.0, 0.0, 1.5):
        slope = (TWO.cdf(value + 1e-5) - TWO.cdf(value - 1e-5)) / 2e-5
        assert math.exp(TWO.logpdf(value)) == pytest.approx(slope, rel=1e-6)


@given(st.floats(-20, 20))
def test_negated_is_the_mirror(value):
    mirror = TWO.negated()
    assert mirror.maximize
    assert mirror.mean == -TWO.mean
    assert mirror.prob_better_than(-value) == pytest.approx(TWO.prob_better_than(value), abs=1e-12)


def test_better_than_infinity():
    assert TWO.prob_better_than(math.inf) == 1.0
    assert TWO.prob_better_than(-math.inf) == 0.0
    assert TWO.negated().prob_better_than(-math.inf) == 1.0


@pytest.mark.parametrize(("maximize", "worst"), [(True, -math.inf), (False, math.inf)])
def test_diverged_is_worse_than_anything(maximize, worst):
    posterior = Posterior.of_diverged(maximize=maximize)
    assert posterior.diverged
    assert posterior.mean == worst
    assert posterior.quantile(0.5) == worst
    assert posterior.std == 0.0
    assert posterior.prob_better_than(-1e300 if maximize else 1e300) == 0.0
    assert posterior.logpdf(0.0) == -math.inf
    assert posterior.negated().mean == -worst
