from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from keras_nas.recovery import LOST, finished, recover, retry, was_lost
from optuna_nas._optuna import FAILURE, OWNER, RETRY_OF, own


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def start(study: optuna.Study) -> optuna.Trial:
    trial = study.ask()
    own(trial)
    trial.suggest_float("x", 0, 1)
    return trial


def test_what_was_running_is_failed_and_enqueued_again(study: optuna.Study) -> None:
    trial = start(study)
    study.tell(start(study), 1.0)
    assert recover(study, exclusive=True) == [0]
    lost, complete, again = study.trials
    assert lost.state == TrialState.FAIL
    assert lost.user_attrs[FAILURE] == LOST
    assert again.state == TrialState.WAITING
    assert again.user_attrs[RETRY_OF] == 0
    assert [t.number for t in finished(study)] == [complete.number]
    assert study.ask().suggest_float("x", 0, 1) == trial.params["x"]
    assert recover(study, exclusive=False) == []


def test_living_owners_keep_their_trials(study: optuna.Study) -> None:
    start(study)
    assert recover(study, exclusive=False) == []
    assert study.trials[0].state == TrialState.RUNNING


def test_dead_owners_lose_them(study: optuna.Study) -> None:
    trial = start(study)
    owner = dict(study.trials[0].user_attrs[OWNER])
    trial.set_user_attr(OWNER, {**owner, "pid": 2**22 - 1, "started": 0.0})
    assert recover(study, exclusive=False) == [0]
    assert was_lost(study.trials[0])


def test_a_trial_without_decisions_is_not_enqueued(study: optuna.Study) -> None:
    study.ask()
    assert recover(study, exclusive=True) == [0]
    assert len(study.trials) == 1
    assert not finished(study)


def test_failures_of_candidates_count(study: optuna.Study) -> None:
    trial = start(study)
    trial.set_user_attr(FAILURE, "ValueError: no")
    study.tell(trial, state=TrialState.FAIL)
    assert len(finished(study)) == 1


def test_enqueued_parameters_survive_a_second_loss(study: optuna.Study) -> None:
    study.enqueue_trial({"x": 0.25})
    study.ask()  # and the process ends before it asked for x
    recover(study, exclusive=True)
    assert study.ask().suggest_float("x", 0, 1) == 0.25
    retry(study, study.trials[-1])
