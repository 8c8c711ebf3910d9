"""What holds for every method, through the front door."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optuna_nas.curves import METHODS, Extrapolator, extrapolate
from optuna_nas.errors import CurveError

methods = pytest.mark.parametrize("method", list(METHODS))


def saturating(seed, runs=12, steps=30):
    """Losses of a study: rows that fall to ends of their own, with noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, steps + 1)
    ends = rng.uniform(0.2, 0.6, (runs, 1))
    rates = rng.uniform(0.1, 0.4, (runs, 1))
    return ends + (1 - ends) * np.exp(-rates * t) + 0.003 * rng.normal(size=(runs, steps))


# In thousandths: differences that adding a number would swallow prove nothing.
thousandths = st.integers(-10_000, 10_000).map(lambda n: n / 1000)
curves = arrays(float, st.integers(2, 15), elements=thousandths).filter(lambda y: np.ptp(y) > 1e-2)


def assert_same(a, b):
    assert a.mean == pytest.approx(b.mean, rel=1e-5, abs=1e-6 * b.std)
    assert a.std == pytest.approx(b.std, rel=1e-5)


@methods
@given(curves, st.floats(0.01, 100), st.floats(-50, 50))
@settings(max_examples=25, deadline=None)
def test_unit_and_zero_do_not_matter(method, values, unit, zero):
    plain = extrapolate(values, 20, "minimize", method=method)
    moved = extrapolate(unit * values + zero, 20, "minimize", method=method)
    assert moved.mean == pytest.approx(unit * plain.mean + zero, abs=1e-5 * unit * plain.std)
    assert moved.std == pytest.approx(unit * plain.std, rel=1e-5)


@methods
@given(curves)
@settings(max_examples=25, deadline=None)
def test_directions_mirror_each_other(method, values):
    down = extrapolate(values, 20, "minimize", method=method)
    up = extrapolate(-values, 20, "maximize", method=method)
    assert up.mean == -down.mean
    assert up.std == down.std
    assert up.prob_better_than(-1.5) == pytest.approx(down.prob_better_than(1.5), abs=1e-12)


@methods
def test_unit_zero_and_direction_do_not_matter_with_peers(method):
    study = saturating(0)
    plain = extrapolate(study[0, :8], 30, "minimize", list(study[1:]), method=method)
    moved = extrapolate(
        5 - 100 * study[0, :8], 30, "maximize", list(5 - 100 * study[1:]), method=method
    )
    assert moved.mean == pytest.approx(5 - 100 * plain.mean, abs=1e-5 * plain.std)
    assert moved.std == pytest.approx(100 * plain.std, rel=1e-6)


HARD = {
    "constant": [0.5] * 6,
    "zeros": [0.0] * 6,
    "one point": [0.3],
    "two points": [0.9, 0.7],
    "two equal points": [0.7, 0.7],
    "huge": [1e10, 2e10, 1e9, 5e9],
    "exploding": [0.7, 65.0, 154.0, 3e5, 2e9],
    "spike": [1.0, 0.8, 0.7, 1e6, 0.65, 0.62],
    "flat, hardly noisy": [0.1 + 1e-9 * k for k in (0, 1, 0, 2, 1, 0)],
    "holes": [0.9, math.nan, 0.7, math.inf, 0.6],
    "rising": [0.2, 0.4, 0.5, 0.7],
    "tiny": [1e-12, 5e-13, 4e-13],
}


@methods
@pytest.mark.parametrize("name", list(HARD))
@pytest.mark.parametrize("with_peers", [False, True])
def test_hard_curves_have_a_finite_posterior(method, name, with_peers):
    peers = list(saturating(1)) if with_peers else None
    posterior = extrapolate(HARD[name], 30, "minimize", peers, method=method)
    assert math.isfinite(posterior.mean)
    assert 0 < posterior.std < math.inf
    low, middle, high = posterior.quantile(np.array([0.05, 0.5, 0.95]))
    assert low < middle < high
    assert 0 <= posterior.prob_better_than(HARD[name][0]) <= 1


@methods
def test_hard_peers_do_no_harm(method):
    study = saturating(2)
    hard = [np.array(values) for values in HARD.values()]
    exploded = np.full(30, 1e12)
    ended = np.append(study[0, :20], math.nan)
    everything = [*study[1:], *hard, exploded, ended, np.array([])]
    posterior = extrapolate(study[0, :10], 30, "minimize", everything, method=method)
    assert posterior.mean == pytest.approx(study[0, -1], abs=0.3)


@methods
@pytest.mark.parametrize(("direction", "worst"), [("minimize", math.inf), ("maximize", -math.inf)])
def test_a_curve_that_ends_in_nan_is_the_worst(method, direction, worst):
    posterior = extrapolate([0.5, 0.4, math.nan], 10, direction, method=method)
    assert posterior.mean == worst
    assert posterior.prob_better_than(0.0) == 0.0


@methods
def test_at_the_horizon_the_last_value_is_the_answer(method):
    posterior = extrapolate([0.5, 0.4, 0.3], 3, "minimize", method=method)
    assert posterior.mean == 0.3
    assert posterior.std < 1e-6


@methods
def test_no_points_take_the_peers_finals(method):
    study = saturating(3)
    posterior = extrapolate([], 30, "minimize", list(study), method=method)
    assert posterior.mean == pytest.approx(study[:, -1].mean())
    assert posterior.std >= study[:, -1].std()


@methods
def test_no_points_and_no_finished_peers(method):
    with pytest.raises(CurveError, match="report a value first or give peers that reached"):
        extrapolate([], 30, "minimize", [np.array([0.5, 0.4])], method=method)


@methods
def test_irregular_steps(method):
    """Seen at other steps, the same curve ends in the same place."""
    t = np.array([1, 2, 3, 5, 8, 13, 21, 34])
    posterior = extrapolate(1 + t**-0.5, 100, "minimize", steps=t, method=method)
    assert posterior.quantile(0.01) < 1.1 < posterior.quantile(0.99)


@methods
def test_steps_may_begin_at_zero(method):
    posterior = extrapolate([2.0, 1.5, 1.3], 10, "minimize", steps=[0, 1, 2], method=method)
    assert math.isfinite(posterior.mean)


@methods
def test_long_curves_are_averaged_and_end_where_they_go(method):
    t = np.arange(1, 2001)
    values = 1 - t**-0.5 + 0.01 * np.random.default_rng(0).normal(size=2000)
    posterior = extrapolate(values, 4000, "maximize", method=method)
    assert posterior.quantile(0.5) == pytest.approx(1 - 4000**-0.5, abs=0.03)


def test_past_the_horizon():
    with pytest.raises(CurveError, match="horizon: expected a step not before the last one"):
        extrapolate([0.5, 0.4, 0.3], 2, "minimize")


@pytest.mark.parametrize("horizon", [0, -1, math.nan, math.inf])
def test_horizons_without_meaning(horizon):
    with pytest.raises(CurveError, match="horizon: expected a positive step"):
        extrapolate([0.5], horizon, "minimize")


def test_directions_without_meaning():
    with pytest.raises(CurveError, match='direction: expected "maximize" or "minimize"'):
        extrapolate([0.5], 10, "max")


def test_unknown_method():
    with pytest.raises(CurveError, match=r"method: expected one of .*last_value.*, got 'oracle'"):
        extrapolate([0.5], 10, "minimize", method="oracle")


def test_peer_steps_of_another_number():
    with pytest.raises(CurveError, match="peer_steps: expected 1 of them, one a peer, got 2"):
        Extrapolator(10, "minimize").fit([[1.0, 2.0]], peer_steps=[None, None])


def test_peers_can_be_given_with_their_steps():
    study = saturating(4)
    steps = np.arange(1, 31)
    known = Extrapolator(30, "minimize").fit(list(study[1:]))
    also = Extrapolator(30, "minimize").fit(list(study[1:]), peer_steps=[steps] * 11)
    assert_same(known.predict(study[0, :9]), also.predict(study[0, :9], steps=steps[:9]))


def test_a_model_of_ones_own():
    own = METHODS["last_value"]
    assert extrapolate([3.0, 2.0], 10, "minimize", method=own).mean == 2.0
