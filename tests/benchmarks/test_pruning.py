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
    outcome, _ = script.run(TASK, ORDER, NopPruner(), budget=10, first=2)
    assert (outcome.epochs, outcome.trials) == (10, 2)
    assert outcome.regret == pytest.approx((0.9 - 0.7) / TASK.scale)
    assert not outcome.lost_best


def test_first_trials_are_compared_with_the_best_of_themselves():
    outcome, first = script.run(TASK, ORDER, NopPruner(), budget=16, first=3)
    assert (first.epochs, first.trials, first.regret) == (12, 3, 0.0)
    assert (outcome.epochs, outcome.trials, outcome.regret) == (16, 4, 0.0)


def test_a_lost_best_is_noticed():
    # Of these only the run that ends at 0.9 is ever above 0.5, from its first epoch on.
    order = np.array([2, 4, 0, 9])
    _, first = script.run(TASK, order, ThresholdPruner(upper=0.5), budget=16, first=4)
    assert first.lost_best
    assert first.epochs == 13
    assert first.regret == pytest.approx((0.9 - 0.4) / TASK.scale)


def test_diverged_runs_are_the_worst():
    curves = CURVES.copy()
    curves[9, 3] = np.nan
    task = script.Task("toy", True, curves)
    _, first = script.run(task, ORDER, NopPruner(), budget=16, first=4)
    assert first.regret == 0.0
    assert first.epochs == 16


def test_outcomes_are_kept(tmp_path):
    pair = script.run(TASK, ORDER, NopPruner(), budget=10, first=2)
    assert script.Runs(tmp_path).get("rf 3, T/27", "toy", 1, lambda: pair) == pair
    assert script.Runs(tmp_path).get("rf 3, T/27", "toy", 1, pytest.fail) == pair
