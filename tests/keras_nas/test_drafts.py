"""Trials that a study sees only when they are wanted."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from keras_nas.drafts import Drafts, DraftStorage

pytestmark = pytest.mark.usefixtures("quiet_optuna")


def _storage(kind: str, folder: Any) -> Any:
    return None if kind == "memory" else f"sqlite:///{folder}/study.db"


@pytest.fixture(params=["memory", "sqlite"])
def study(request, tmp_path) -> optuna.Study:
    return optuna.create_study(
        storage=_storage(request.param, tmp_path), sampler=optuna.samplers.RandomSampler(seed=0)
    )


def test_a_dropped_draft_was_never_there(study) -> None:
    drafts = Drafts(study)
    for _ in range(3):
        trial = drafts.ask()
        assert drafts.is_draft(trial)
        trial.suggest_float("x", 0, 1)
        assert trial.number == 0
        assert study.trials == []
        drafts.drop()
    assert study.trials == drafts.study.trials == []


def test_a_kept_draft_is_a_running_trial(study) -> None:
    drafts = Drafts(study)
    trial = drafts.ask()
    x = trial.suggest_float("x", 0, 1)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    trial.set_user_attr("note", [1, 2])
    assert drafts.keep(trial, {"who": "me"}) == 0
    assert not drafts.is_draft(trial)
    (stored,) = study.trials
    assert stored.state == TrialState.RUNNING
    assert stored.params == {"x": x, "kind": kind}
    assert stored.user_attrs == {"note": [1, 2], "who": "me"}
    assert stored.datetime_start is not None
    study.tell(0, 1.0)
    assert study.best_params == stored.params
    assert [trial.number for trial in drafts.study.trials] == [0]


def test_the_number_is_that_of_the_study(study) -> None:
    """Somebody else may have added trials since the draft was made."""
    drafts = Drafts(study)
    trial = drafts.ask()
    trial.suggest_float("x", 0, 1)
    study.ask()
    assert drafts.keep(trial, {}) == 1


def test_the_draft_is_among_the_trials_a_sampler_sees(study) -> None:
    drafts = Drafts(study)
    trial = drafts.ask()
    trial.suggest_float("x", 0, 1)
    seen = drafts.study.get_trials()
    assert [one.number for one in seen] == [trial.number]
    assert seen[0].params == trial.params
    assert drafts.study.get_trials(states=(TrialState.COMPLETE,)) == []
    drafts.keep(trial, {})
    assert len(drafts.study._get_trials(use_cache=True)) == 1
    assert drafts.study._get_trials(use_cache=True)[0]._trial_id >= 0


def test_what_waits_is_taken_before_anything_is_drafted(study) -> None:
    study.enqueue_trial({"x": 0.25})
    drafts = Drafts(study)
    trial = drafts.ask()
    assert not drafts.is_draft(trial)
    assert trial.suggest_float("x", 0, 1) == 0.25
    assert drafts.keep(trial, {"who": "me"}) == 0
    assert study.trials[0].state == TrialState.RUNNING
    assert study.trials[0].user_attrs["who"] == "me"


def test_another_sampler_for_once(study) -> None:
    drafts = Drafts(study)
    drafts.ask(optuna.samplers.RandomSampler(seed=3)).suggest_float("x", 0, 1)
    drafts.drop()
    mine = optuna.samplers.RandomSampler(seed=3)
    assert drafts.study.sampler is not mine
    drafts.ask()
    assert drafts.study.sampler is study.sampler
    study.sampler = mine
    drafts.ask()
    assert drafts.study.sampler is mine


def test_all_else_is_passed_on(study) -> None:
    """The study behind drafts can be used like any other."""
    drafts = Drafts(study)
    view = drafts.study
    trial = study.ask()
    reopened = optuna.trial.Trial(view, trial._trial_id)
    reopened.suggest_float("y", 0, 1)
    reopened.report(0.5, 1)
    reopened.set_user_attr("key", 3)
    reopened.set_constraint("size", -1.0)
    view.set_user_attr("study", True)
    view.tell(0, 2.0)
    view.add_trial(optuna.trial.create_trial(state=TrialState.COMPLETE, value=1.0))
    first, second = study.trials
    assert (first.value, first.intermediate_values, first.user_attrs) == (2.0, {1: 0.5}, {"key": 3})
    assert first.constraints == {"size": -1.0}
    assert second.value == 1.0
    assert study.user_attrs["study"] is True
    assert view.best_trial.number == 1
    assert view.directions == study.directions
    assert [one.study_name for one in optuna.get_all_study_summaries(view._storage)] == [
        study.study_name
    ]


def test_every_method_of_a_storage_is_passed_on() -> None:
    """A new one of Optuna's, with a body of its own in the base class, would bypass the storage."""
    base = optuna.storages.BaseStorage
    mine = vars(DraftStorage)
    abstract = base.__abstractmethods__
    assert abstract <= set(mine)


def test_a_sampler_that_fails_its_trial_drops_it(study) -> None:
    class Failing(optuna.samplers.RandomSampler):
        def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    study.sampler = Failing()
    Drafts(study).ask()
    assert study.trials == []


def test_a_sampler_may_stop_the_study(study) -> None:
    drafts = Drafts(study)
    assert not drafts.stopped
    drafts.study.stop()
    assert drafts.stopped
