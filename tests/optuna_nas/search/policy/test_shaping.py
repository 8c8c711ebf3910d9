from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search import Fitness
from optuna_nas.search.fitness import Evidence
from optuna_nas.search.policy import RankRewards, ValueRewards
from optuna_nas.search.policy.shaping import Baseline
from tests.optuna_nas.search.policy.example import individual


def population(*fitnesses: Fitness):
    return [individual(n, {"depth": 1}, fitness=fitness) for n, fitness in enumerate(fitnesses)]


finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=1, max_size=30), st.data())
def test_ranks_know_no_unit(losses, data):
    count = data.draw(st.integers(1, len(losses)))
    rewards = RankRewards()(population(*[Fitness((loss,)) for loss in losses]), count)
    order = np.argsort(np.argsort(losses))  # doubling is exact, and keeps ties
    again = RankRewards()(population(*[Fitness((2 * loss,)) for loss in losses]), count)
    np.testing.assert_array_equal(rewards, again)
    assert rewards.shape == (count,)
    assert (np.abs(rewards) <= 1).all()
    if len(set(losses)) == len(losses) > 1:
        np.testing.assert_allclose(rewards, (1 - 2 * order / (len(losses) - 1))[-count:])


def test_failures_and_violations_come_last():
    ordered = [
        Fitness((1.0,)),
        Fitness((2.0,)),
        Fitness((math.inf,)),
        Fitness((-9.0, 1.0), evidence=Evidence.REPORT),
        Fitness((-3.0, 0.0), evidence=Evidence.REPORT),
        Fitness((), evidence=Evidence.NOTHING),
        Fitness((0.0,), violation=1.0),
        Fitness((0.0,), violation=2.0),
        Fitness((), evidence=Evidence.FAILURE),
    ]
    rewards = RankRewards()(population(*ordered), len(ordered))
    np.testing.assert_allclose(rewards, np.linspace(1, -1, len(ordered)))


def test_fronts_go_before_crowding():
    front = [(0.0, 4.0), (1.0, 3.0), (1.1, 2.9), (4.0, 0.0)]
    behind = [(4.0, 4.0), (5.0, 5.0)]
    rewards = RankRewards()(population(*map(Fitness, front + behind)), 6)
    extremes, crowded = rewards[[0, 3]], rewards[[1, 2]]
    assert extremes[0] == extremes[1] > crowded.max() >= crowded.min() > rewards[4] > rewards[5]


def test_a_single_one_and_equal_ones_have_no_reward():
    assert RankRewards()(population(Fitness((3.0,))), 1).tolist() == [0.0]
    assert RankRewards()(population(*[Fitness((3.0,))] * 4), 4).tolist() == [0.0] * 4


def test_values_are_in_the_objectives_own_sign():
    rewards = ValueRewards(lambda accuracy, ms: accuracy - ms, (True, False))
    recent = population(Fitness((-0.5, 3.0)), Fitness((-0.75, 1.0)))
    np.testing.assert_allclose(rewards(recent, 2), [-2.5, -0.25])


def test_values_that_are_none_get_the_worst():
    recent = population(
        Fitness((-0.5,)),
        Fitness((-0.9,)),
        Fitness((math.inf,)),
        Fitness((), evidence=Evidence.FAILURE),
        Fitness((), evidence=Evidence.NOTHING),
        Fitness((-3.0, -0.7), evidence=Evidence.REPORT),
        Fitness((-0.95,), violation=1.0),
    )
    rewards = ValueRewards(lambda accuracy: accuracy, (True,))(recent, 7)
    np.testing.assert_allclose(rewards[:6], [0.5, 0.9, 0.5, 0.5, 0.5, 0.7])
    assert rewards[6] < 0.5
    assert ValueRewards(lambda a: a, (True,))(recent[3:5], 2).tolist() == [0.0, 0.0]


def test_the_baseline_takes_a_reward_in_before_it_is_compared():
    advantages, baseline = Baseline(0.9).advantages(np.array([3.0, 5.0]))
    assert advantages[0] == 0.0
    mean = (0.9 * 0.1 * 3.0 + 0.1 * 5.0) / (0.9 * 0.1 + 0.1)
    assert advantages[1] == pytest.approx(5.0 - mean)
    again, _ = baseline.advantages(np.array([mean]))
    assert again[0] == pytest.approx(0.0)
