"""`DiscardPruner` lets only the best go on at its step."""

from __future__ import annotations

import math

import optuna
import pytest

from optuna_nas.pruners import DiscardPruner
from optuna_nas.testing.learning_curves import follow

pytestmark = pytest.mark.usefixtures("quiet_optuna")


def test_only_the_top_fraction_goes_on() -> None:
    study = optuna.create_study(direction="maximize", pruner=DiscardPruner(2, keep=0.25))
    firsts = [0.5, 0.4, 0.6, 0.55, 0.1, 0.58, 0.59, 0.57]
    stopped = [follow(study, [0.9, value, 0.1]) for value in firsts]
    # The second of seven is kept at a quarter, rounded up, and the fourth of eight is not.
    assert stopped == [None, 2, None, 2, 2, None, None, 2]


def test_it_judges_at_the_first_report_at_its_step() -> None:
    study = optuna.create_study(direction="minimize", pruner=DiscardPruner(10))
    follow(study, [0.1, 0.1, 0.1], [5, 11, 20])
    assert follow(study, [0.0, 0.2, 0.0], [5, 15, 20]) == 15
    assert follow(study, [0.9, 0.05, 0.9], [5, 15, 20]) is None


def test_a_value_that_is_no_number_is_the_worst() -> None:
    study = optuna.create_study(direction="maximize", pruner=DiscardPruner(1, keep=1.0))
    follow(study, [0.1, 0.1])
    assert follow(study, [math.nan, 0.1]) == 1
    assert follow(study, [0.01, 0.1]) is None


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="keep must be from 0 to 1, got 3"):
        DiscardPruner(keep=3)
