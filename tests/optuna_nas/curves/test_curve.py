from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.curves import Curve
from optuna_nas.curves.curve import without_spikes
from optuna_nas.errors import CurveError


def test_values_become_losses_at_one_two_three():
    curve = Curve.read([0.1, 0.5, 0.6], None, maximize=True)
    assert curve.losses.tolist() == [-0.1, -0.5, -0.6]
    assert curve.steps.tolist() == [1.0, 2.0, 3.0]
    assert not curve.diverged


def test_failed_steps_are_left_out():
    curve = Curve.read([3.0, np.nan, np.inf, 2.0], None, maximize=False)
    assert curve.steps.tolist() == [1.0, 4.0]
    assert not curve.diverged


@pytest.mark.parametrize("end", [np.nan, np.inf, -np.inf, 1e200])
def test_a_curve_that_ends_in_failure_has_diverged(end):
    assert Curve.read([3.0, 2.0, end], None, maximize=False).diverged


@pytest.mark.parametrize("steps", [[1, 1, 2], [2, 1, 3], [-1, 1, 2], [1, 2, np.nan]])
def test_steps_without_meaning(steps):
    with pytest.raises(CurveError, match="steps of values: expected increasing finite numbers"):
        Curve.read([1, 2, 3], steps, maximize=False)


def test_steps_of_another_length():
    with pytest.raises(CurveError, match=r"expected shape \(3,\), one a value, got \(2,\)"):
        Curve.read([1, 2, 3], [1, 2], maximize=False)


def test_a_matrix_is_no_curve():
    with pytest.raises(CurveError, match=r"peers\[3\]: expected one dimension"):
        Curve.read(np.ones((2, 3)), None, maximize=False, name="peers[3]")


def test_until():
    curve = Curve.read([5.0, 4.0, 3.0], [10, 20, 30], maximize=False)
    assert curve.until(29.9).losses.tolist() == [5.0, 4.0]
    assert curve.until(30) is curve
    assert len(curve.until(5)) == 0


def test_a_lonely_spike_is_cut():
    losses = np.array([1.0, 0.8, 0.7, 50.0, 0.65, 0.6])
    tamed = without_spikes(losses)
    assert tamed[3] == pytest.approx(0.7 + 0.4)
    np.testing.assert_array_equal(np.delete(tamed, 3), np.delete(losses, 3))


def test_a_confirmed_rise_is_not_a_spike():
    losses = np.array([1.0, 0.8, 0.7, 50.0, 60.0, 55.0])
    np.testing.assert_array_equal(without_spikes(losses), losses)


def test_a_jump_for_the_better_is_kept():
    losses = np.array([1.0, 1.0, 1.0, 1.0, 0.1])
    assert without_spikes(losses) is losses


def test_a_curve_that_went_on_ends_at_the_horizon_between_its_points():
    curve = Curve(np.array([3.0, 6.0, 9.0]), np.array([0.9, 0.6, 0.4]))
    cut = curve.up_to(7.0)
    assert cut.steps.tolist() == [3.0, 6.0, 7.0]
    assert cut.last == pytest.approx(0.6 - 0.2 / 3.0)
    assert curve.up_to(6.0).losses.tolist() == [0.9, 0.6]
    assert curve.up_to(10.0) is curve  # it did not get there
    assert len(curve.up_to(2.0)) == 0
