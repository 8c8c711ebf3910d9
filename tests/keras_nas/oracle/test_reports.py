"""What tuners report to an `OptunaOracle`, and workers that fall silent."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from keras_nas.oracle import (
    CONSTRAINT_PREFIX,
    EPOCH_PREFIX,
    KNOWN_PREFIX,
    OptunaOracle,
)
from optuna_nas._optuna import curve_of, record_of
from optuna_nas.pruners import LearningCurvePruner
from tests.keras_nas.oracle.trials import (
    PARAMS,
    finish,
    states,
)

pytestmark = pytest.mark.usefixtures("quiet_optuna")


def test_epochs_are_reports_and_not_metrics(new) -> None:
    oracle = new(pruner=optuna.pruners.ThresholdPruner(upper=5.0))
    trial = oracle.create_trial("tuner0")
    for step, value in enumerate([3.0, 2.0, 9.0], 1):
        answer = oracle.update_trial(
            trial.trial_id,
            {EPOCH_PREFIX + "val_loss": value, EPOCH_PREFIX + "accuracy": 0.1 * step},
            step=step,
        )
        assert answer.status == ("STOPPED" if value > 5 else "RUNNING")
        assert oracle.trials[trial.trial_id].status == "RUNNING"
    assert not oracle.get_trial(trial.trial_id).metrics.metrics
    finish(oracle, trial, {"val_loss": 2.0})
    (frozen,) = oracle.study.trials
    assert frozen.state == TrialState.PRUNED
    assert frozen.intermediate_values == {1: 3.0, 2: 2.0, 3: 9.0}
    assert record_of(frozen).curve == {
        "val_loss": [3.0, 2.0, 9.0], "accuracy": pytest.approx([0.1, 0.2, 0.3])
    }  # fmt: skip
    assert record_of(frozen).seconds["total"] > 0
    (best,) = oracle.get_best_trials()
    assert (best.status, best.score) == ("COMPLETED", 2.0)


def test_later_executions_do_not_report(new) -> None:
    oracle = new()
    trial = oracle.create_trial("tuner0")
    for execution in range(2):
        for step in (1, 2):
            oracle.update_trial(
                trial.trial_id, {EPOCH_PREFIX + "val_loss": 10.0 * execution + step}, step=step
            )
    finish(oracle, trial)
    assert oracle.study.trials[0].intermediate_values == {1: 1.0, 2: 2.0}


def test_curves_of_several_objectives(new) -> None:
    oracle = new(objective=["val_loss", PARAMS], pruner=LearningCurvePruner(max_step=3))
    trial = oracle.create_trial("tuner0")
    oracle.update_trial(trial.trial_id, {KNOWN_PREFIX + "params": 12.0}, step=0)
    for step in (1, 2, 3):
        oracle.update_trial(trial.trial_id, {EPOCH_PREFIX + "val_loss": 1.0 / step}, step=step)
    finish(oracle, trial, {"val_loss": 1 / 3, "params": 12.0})
    (frozen,) = oracle.study.trials
    assert frozen.values == [1 / 3, 12.0]
    curve = curve_of(frozen)
    assert curve is not None
    assert (list(curve.steps), list(curve.values)) == ([1, 2, 3], [[1.0, 0.5, 1 / 3], 12.0])
    assert record_of(frozen).params == 12


def test_a_violated_constraint_ends_the_trial(new) -> None:
    oracle = new()
    trial = oracle.create_trial("tuner0")
    constraints = {CONSTRAINT_PREFIX + "macs": 3.0, CONSTRAINT_PREFIX + "params": -1.0}
    assert oracle.update_trial(trial.trial_id, constraints, step=0).status == "STOPPED"
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    finish(oracle, other := oracle.create_trial("tuner0"))
    frozen = oracle.study.trials[0]
    assert frozen.state == TrialState.COMPLETE
    assert frozen.constraints == {"macs": 3.0, "params": -1.0}
    assert oracle.study.best_trial.number == 1
    assert [t.trial_id for t in oracle.get_best_trials(9)] == [other.trial_id]
    again = new()
    again.reload()
    assert [t.trial_id for t in again.get_best_trials(9)] == [other.trial_id]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def chief(new, monkeypatch) -> tuple[OptunaOracle, Clock]:
    """The oracle of a chief that takes workers for dead after 60 seconds."""
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    oracle, clock = new(max_trials=2, patience=60.0), Clock()
    oracle._workers._clock = clock
    return oracle, clock


def test_the_trial_of_a_silent_worker_is_handed_on(chief) -> None:
    oracle, clock = chief
    lost = oracle.create_trial("victim")
    assert oracle.create_trial("victim") is lost  # a sign of life
    finish(oracle, oracle.create_trial("survivor"))
    assert oracle.create_trial("survivor").status == "IDLE"
    clock.now = 59.0
    assert oracle.create_trial("survivor").status == "IDLE"
    clock.now = 61.0
    handed = oracle.create_trial("survivor")
    assert handed.trial_id == lost.trial_id
    assert oracle.tuner_ids == {"survivor"}
    # The dead one was only asleep. What it says does not matter any more.
    finish(oracle, handed)
    score = oracle.trials[handed.trial_id].score
    late = oracle.update_trial(lost.trial_id, {EPOCH_PREFIX + "val_loss": 0.0}, step=1)
    assert late.status == "STOPPED"
    oracle.end_trial(lost)
    assert oracle.trials[handed.trial_id].score == score
    assert oracle.create_trial("survivor").status == "STOPPED"
    assert states(oracle) == ["COMPLETE"] * 2
    assert oracle.ongoing_trials == {}
    assert oracle.tuner_ids == set()


def test_a_worker_that_never_beats_may_train_for_ever(chief) -> None:
    oracle, clock = chief
    oracle.create_trial("quiet")
    clock.now = 1e6
    finish(oracle, oracle.create_trial("other"))
    assert oracle.create_trial("other").status == "IDLE"
    assert oracle.tuner_ids == {"quiet", "other"}


def test_the_chief_does_not_wait_for_a_worker_that_died_between_trials(chief) -> None:
    oracle, clock = chief
    finish(oracle, oracle.create_trial("victim"))
    finish(oracle, oracle.create_trial("survivor"))
    assert oracle.create_trial("survivor").status == "STOPPED"
    assert oracle.tuner_ids == {"victim"}
    clock.now = 61.0
    assert oracle.tuner_ids == set()


def test_a_worker_has_no_study_of_its_own(new, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    new(storage=f"sqlite:///{tmp_path}/study.db", study_name="s")
    assert not (tmp_path / "study.db").exists()
