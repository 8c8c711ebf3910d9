from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search import absolute_reward, cubic_reward, soft_reward

costs = st.floats(0.1, 1e4)


@given(st.floats(0, 1), costs, costs)
def test_the_absolute_reward_peaks_at_the_target(accuracy, cost, target):
    best = absolute_reward(accuracy, target, target=target)
    assert best == accuracy
    assert absolute_reward(accuracy, cost, target=target) <= best


def test_absolute_reward_by_hand():
    assert absolute_reward(0.75, 30.0, target=20.0) == pytest.approx(0.7)
    assert absolute_reward(0.75, 10.0, target=20.0) == pytest.approx(0.7)
    assert absolute_reward(0.75, 30.0, target=20.0, weight=-0.2) == pytest.approx(0.65)
    assert absolute_reward(0.75, 0.0, target=20.0) == pytest.approx(0.65)


def test_soft_reward_by_hand():
    # Tan et al. 2019, section 3: twice the latency for a twentieth more accuracy is as good.
    assert soft_reward(0.5 * 1.05, 40.0, target=20.0) == pytest.approx(
        soft_reward(0.5, 20.0, target=20.0), rel=1e-3
    )
    assert soft_reward(0.5, 10.0, target=20.0) == pytest.approx(0.5 * 2**0.07)
    hard = {"target": 20.0, "exponent": -1.0, "exponent_below": 0.0}
    assert soft_reward(0.5, 10.0, **hard) == 0.5
    assert soft_reward(0.5, 40.0, **hard) == pytest.approx(0.25)


def test_cubic_reward():
    assert cubic_reward(0.5) == 0.125


@pytest.mark.parametrize("reward", [absolute_reward, soft_reward])
@pytest.mark.parametrize(
    ("cost", "target", "name"),
    [(-1.0, 1.0, "cost"), (math.nan, 1.0, "cost"), (1.0, 0.0, "target"), (1.0, math.inf, "target")],
)
def test_impossible_costs_are_refused(reward, cost, target, name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        reward(0.5, cost, target=target)


def test_rewards_for_costs_are_refused():
    with pytest.raises(ValueError, match="weight must be at most 0, got 1"):
        absolute_reward(0.5, 1.0, target=1.0, weight=1.0)
    with pytest.raises(ValueError, match="exponent_below must be at most 0"):
        soft_reward(0.5, 1.0, target=1.0, exponent_below=0.5)
    with pytest.raises(ValueError, match="cost must be above 0"):
        soft_reward(0.5, 0.0, target=1.0)
