"""The overhead of pruners is measured on studies as they are said to be."""

import pruner_overhead as script
import pytest
from optuna.pruners import NopPruner, ThresholdPruner
from optuna.trial import TrialState

pytestmark = pytest.mark.usefixtures("quiet_optuna")


def test_every_second_trial_was_pruned() -> None:
    trials = script.filled(4).trials
    assert [len(trial.intermediate_values) for trial in trials] == [100, 20, 100, 20]
    pruned = [trial.state == TrialState.PRUNED for trial in trials]
    assert pruned == [False, True, False, True]


@pytest.mark.parametrize(
    ("pruner", "reports"), [(NopPruner(), script.REPORTS), (ThresholdPruner(lower=2.0), 1)]
)
def test_trials_report_until_they_end(
    pruner: script.BasePruner, reports: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "TRIALS", 3)
    study = script.filled(2)
    costs = script.measured(study, pruner)
    assert [len(trial.intermediate_values) for trial in study.trials[2:]] == [reports] * 3
    assert min(costs) > 0.0
