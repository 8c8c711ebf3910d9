"""The simulation of pruners spends what it may, and measures what it says."""

import numpy as np
import pruning as script
import pytest
from optuna.pruners import NopPruner, ThresholdPruner

pytestmark = pytest.mark.usefixtures("quiet_optuna")

# Ten runs of four epochs; the last values are 0.0, 0.1, ..., 0.9.
CURVES = np.linspace(0.0, 0.9, 10)[:, None] - np.array([0.3, 0.2, 0.1, 0.0])
TASK = script.Task("toy", True, CURVES)
ORDER = np.array([2, 7, 0, 9, 1, 3, 4, 5, 6, 8])


def test_scale_is_the_distance_of_the_median_from_the_best():
    assert TASK.scale == pytest.approx(0.9 * (0.5 - 0.02))


def test_a_budget_ends_in_the_middle_of_a_trial():
    outcome = script.run(TASK, ORDER, NopPruner(), budget=10, trials=10)
    assert (outcome.epochs, outcome.trials) == (10, 2)
    assert outcome.regret == pytest.approx((0.9 - 0.7) / TASK.scale)
    assert not outcome.lost_best


def test_first_trials_are_compared_with_the_best_of_themselves():
    outcome = script.run(TASK, ORDER, NopPruner(), budget=None, trials=3)
    assert (outcome.epochs, outcome.trials, outcome.regret) == (12, 3, 0.0)


def test_a_lost_best_is_noticed():
    # Of these only the run that ends at 0.9 is ever above 0.5, from its first epoch on.
    order = np.array([2, 4, 0, 9])
    outcome = script.run(TASK, order, ThresholdPruner(upper=0.5), budget=None, trials=4)
    assert outcome.lost_best
    assert outcome.epochs == 13
    assert outcome.regret == pytest.approx((0.9 - 0.4) / TASK.scale)


def test_diverged_runs_are_the_worst():
    curves = CURVES.copy()
    curves[9, 3] = np.nan
    outcome = script.run(
        script.Task("toy", True, curves), ORDER, NopPruner(), budget=None, trials=4
    )
    assert outcome.regret == 0.0
    assert outcome.epochs == 16
