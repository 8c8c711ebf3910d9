"""Trials of an `OptunaOracle` that fail, are tried again or were tried before."""

from __future__ import annotations

import threading
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from keras_nas.oracle import (
    CONSTRAINT_PREFIX,
    EPOCH_PREFIX,
)
from optuna_nas._optuna import FAILURE
from tests.keras_nas.oracle.trials import (
    finish,
    hyperparameters,
    search,
    states,
)

pytestmark = pytest.mark.usefixtures("quiet_optuna")


def test_a_failed_trial_says_why(new) -> None:
    oracle = new()
    message = "Traceback (most recent call last):\n  File ...\nValueError: too wide\n"
    finish(oracle, oracle.create_trial("tuner0"), status="FAILED", message=message)
    finish(oracle, oracle.create_trial("tuner0"))
    assert states(oracle) == ["FAIL", "COMPLETE"]
    assert oracle.study.trials[0].user_attrs[FAILURE] == "ValueError: too wide"
    assert len(oracle.get_best_trials(5)) == 1


def test_a_retry_is_the_same_trial(new) -> None:
    oracle = new(max_retries_per_trial=1)
    trial = oracle.create_trial("tuner0")
    params = oracle.optuna_trial(trial.trial_id).params
    oracle.update_trial(trial.trial_id, {EPOCH_PREFIX + "val_loss": 9.0}, step=1)
    oracle.update_trial(trial.trial_id, {CONSTRAINT_PREFIX + "macs": -1.0}, step=0)
    finish(oracle, trial, status="INVALID", message="killed")
    assert states(oracle) == ["RUNNING"]
    again = oracle.create_trial("tuner0")
    assert again.trial_id == trial.trial_id
    oracle.update_trial(again.trial_id, {CONSTRAINT_PREFIX + "macs": -2.0}, step=0)
    oracle.update_trial(again.trial_id, {EPOCH_PREFIX + "val_loss": 4.0}, step=1)
    finish(oracle, again)
    (frozen,) = oracle.study.trials
    assert frozen.state == TrialState.COMPLETE
    assert frozen.params == params
    assert frozen.intermediate_values == {1: 4.0}
    assert frozen.constraints == {"macs": -2.0}


def test_retries_end(new) -> None:
    oracle = new(max_retries_per_trial=2)
    for _ in range(3):
        finish(oracle, oracle.create_trial("tuner0"), status="INVALID", message="again")
    assert states(oracle) == ["FAIL"]
    assert oracle.create_trial("tuner0").trial_id == "1"


@pytest.mark.filterwarnings("ignore:All-NaN axis:RuntimeWarning")  # Keras Tuner's arithmetic
def test_a_value_that_is_no_number_fails(new) -> None:
    oracle = new()
    finish(oracle, oracle.create_trial("tuner0"), {"val_loss": float("nan")})
    assert states(oracle) == ["FAIL"]
    assert oracle.study.trials[0].user_attrs[FAILURE] == "the objective is NaN"
    oracle = new("several", objective=["val_loss", "val_accuracy"])
    metrics = {"val_loss": 1.0, "val_accuracy": float("nan")}
    finish(oracle, oracle.create_trial("tuner0"), metrics)
    assert states(oracle) == ["FAIL"]


def test_too_many_failures_end_the_search_and_leave_nothing_running(new) -> None:
    oracle = new(max_consecutive_failed_trials=2, max_trials=9)
    finish(oracle, oracle.create_trial("tuner0"), status="FAILED", message="one")
    with pytest.raises(RuntimeError, match="consecutive failures exceeded the limit of 2"):
        finish(oracle, oracle.create_trial("tuner0"), status="FAILED", message="two")
    assert states(oracle) == ["FAIL", "FAIL"]
    assert oracle.ongoing_trials == {}
    again = new(max_consecutive_failed_trials=2, max_trials=9)
    again.reload()
    assert [trial.status for trial in again.trials.values()] == ["FAILED", "FAILED"]
    finish(again, again.create_trial("tuner0"))  # whoever mended it goes on
    finish(again, again.create_trial("tuner0"), status="FAILED", message="three")
    assert states(again) == ["FAIL", "FAIL", "COMPLETE", "FAIL"]


def test_a_trial_without_a_value_fails(new) -> None:
    oracle = new()
    trial = oracle.create_trial("tuner0")
    trial.status = "COMPLETED"
    with pytest.raises(ValueError, match="ended without a value of 'val_loss'"):
        oracle.end_trial(trial)
    assert states(oracle) == ["FAIL"]


def test_an_error_never_leaves_the_lock_held(new, monkeypatch) -> None:
    oracle = new()
    real = oracle.populate_space
    errors = iter([ZeroDivisionError("sampler"), KeyboardInterrupt()])

    def populate(trial_id: str) -> Any:
        if (error := next(errors, None)) is not None:
            raise error
        return real(trial_id)

    monkeypatch.setattr(oracle, "populate_space", populate)
    with pytest.raises(ZeroDivisionError, match="sampler"):
        oracle.create_trial("tuner0")
    with pytest.raises(KeyboardInterrupt):
        oracle.create_trial("tuner0")
    with pytest.raises(ValueError, match="Objective value missing"):
        oracle.update_trial(oracle.create_trial("tuner0").trial_id, {"other": 1.0})
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(oracle.create_trial("b")), daemon=True)
    thread.start()
    thread.join(20)
    assert [trial.status for trial in found] == ["RUNNING"]
    assert states(oracle) == ["RUNNING", "RUNNING"]


def test_an_interrupted_search_leaves_nothing_running(new) -> None:
    oracle = new(max_retries_per_trial=1)
    finish(oracle, oracle.create_trial("tuner0"))
    retried = oracle.create_trial("tuner0")
    finish(oracle, retried, status="INVALID")
    oracle.create_trial("tuner0")
    running = oracle.create_trial("tuner1")
    oracle.interrupt()
    assert states(oracle) == ["COMPLETE", "WAITING", "WAITING"]
    assert oracle.ongoing_trials == {}
    assert {t.trial_id for t in search(oracle)} >= {retried.trial_id, running.trial_id}
    assert states(oracle) == ["COMPLETE"] * 5


class Stubborn(optuna.samplers.RandomSampler):
    """Proposes the same over and over."""

    def sample_independent(self, study, trial, param_name, param_distribution):  # type: ignore[no-untyped-def]
        return param_distribution.to_external_repr(0 if param_name == "kind" else 1)


def _grid(hp: Any) -> None:
    hp.Int("units", 1, 3)
    hp.Choice("kind", ["a", "b"])


@pytest.mark.parametrize("sampler", [Stubborn, optuna.samplers.TPESampler])
def test_nothing_is_tried_twice_and_the_search_ends(new, sampler) -> None:
    oracle = new(sampler=sampler(seed=0), max_trials=None, hyperparameters=hyperparameters(_grid))
    trials = search(oracle)
    assert len({tuple(t.hyperparameters.values.values()) for t in trials}) == len(trials) == 6
    assert states(oracle) == ["COMPLETE"] * 6  # no failed ones for what was rejected
    assert [t.number for t in oracle.study.trials] == list(range(6))


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_says_when_it_is_done(new) -> None:
    grid = optuna.samplers.GridSampler({"units": [1, 3], "kind": ["a", "b"]})
    every = optuna.samplers.BruteForceSampler(seed=0)
    fixed = optuna.samplers.PartialFixedSampler(
        {"kind": "b"}, optuna.samplers.RandomSampler(seed=0)
    )
    for sampler, trials in ((grid, 4), (every, 6), (fixed, 3)):
        space = hyperparameters(_grid)
        oracle = new(f"{trials}", sampler=sampler, max_trials=None, hyperparameters=space)
        assert len(search(oracle)) == trials
        assert states(oracle) == ["COMPLETE"] * trials
    assert {trial.params["kind"] for trial in oracle.study.trials} == {"b"}


def test_what_others_try_is_not_tried_again(new) -> None:
    study = optuna.create_study()
    sampler = optuna.samplers.RandomSampler(seed=0)
    oracle = new(
        study=study, sampler=sampler, max_trials=None, hyperparameters=hyperparameters(_grid)
    )
    finish(oracle, oracle.create_trial("tuner0"))
    distributions = dict(study.trials[0].distributions)
    taken = study.trials[0].params
    for units in (1, 2, 3):
        params = {"units": units, "kind": "b"}
        if params != taken:
            trial = optuna.trial.create_trial(params=params, distributions=distributions, value=1.0)
            study.add_trial(trial)
    search(oracle)
    params = [tuple(sorted(trial.params.items())) for trial in study.trials]
    assert len(set(params)) == len(params) == 6


def test_a_space_without_choices_is_tried_once(new) -> None:
    oracle = new(hyperparameters=hyperparameters(lambda hp: hp.Fixed("units", 3)))
    assert len(search(oracle)) == 1


def test_an_exhausted_space_may_grow(new) -> None:
    oracle = new(max_trials=None, hyperparameters=hyperparameters(_grid))
    assert len(search(oracle)) == 6
    oracle.hyperparameters.Int("late", 1, 2)
    assert len(search(oracle)) > 0
