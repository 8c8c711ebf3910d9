"""`OptunaOracle` with any sampler and storage, and after a reload."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from keras_nas._keras_tuner import keras_tuner
from keras_nas.binding import StudyMismatchError
from keras_nas.oracle import (
    EPOCH_PREFIX,
)
from keras_nas.trial_conversion import SIDECAR
from optuna_nas.samplers import LocalSearchSampler, PredictorSampler, RegularizedEvolutionSampler
from tests.keras_nas.oracle.trials import (
    declare,
    finish,
    hyperparameters,
    loss,
    search,
    states,
)

pytestmark = pytest.mark.usefixtures("quiet_optuna")

SAMPLERS: dict[str, Callable[[], optuna.samplers.BaseSampler | None]] = {
    "default": lambda: None,
    "random": lambda: optuna.samplers.RandomSampler(seed=0),
    "tpe": lambda: optuna.samplers.TPESampler(seed=0, n_startup_trials=3),
    "multivariate": lambda: optuna.samplers.TPESampler(
        seed=0, n_startup_trials=3, multivariate=True, group=True
    ),
    "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=0, population_size=4),
    "qmc": lambda: optuna.samplers.QMCSampler(seed=0),
    "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=0, n_startup_trials=3),
    "gp": lambda: optuna.samplers.GPSampler(seed=0, n_startup_trials=6),
    "brute force": lambda: optuna.samplers.BruteForceSampler(seed=0),
    "evolution": lambda: RegularizedEvolutionSampler(population_size=4, seed=0),
    "predictor": lambda: PredictorSampler(seed=0),
    "local search": lambda: LocalSearchSampler(seed=0),
}
NEEDS = {"cmaes": "cmaes", "gp": "torch"}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_any_sampler(new, name) -> None:
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")

    def finite(hp: Any) -> None:
        hp.Int("units", 1, 9)
        hp.Float("rate", 0.0, 1.0, step=0.25)
        hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["b"]):
            hp.Boolean("extra")

    space = hyperparameters(finite if name == "brute force" else declare)
    oracle = new(sampler=SAMPLERS[name](), max_trials=10, hyperparameters=space)
    trials = search(oracle)
    assert len(trials) == 10
    assert states(oracle) == ["COMPLETE"] * 10
    for trial, frozen in zip(trials, oracle.study.trials, strict=True):
        assert trial.hyperparameters.values == frozen.params
        assert frozen.value == trial.score == loss(frozen.params)
        assert ("extra" in frozen.params) == (frozen.params["kind"] == "b")
    assert oracle.get_best_trials()[0].score == oracle.study.best_value


def test_the_sampler_learns(new) -> None:
    """A sampler that learns finds better values than chance, so it must be told of them."""
    best = {}
    for name in ("tpe", "random"):
        oracle = new(name, sampler=SAMPLERS[name](), max_trials=25)
        search(oracle)
        best[name] = np.mean(sorted(trial.value for trial in oracle.study.trials)[:12])
    assert best["tpe"] < best["random"]


@pytest.mark.parametrize("name", ["nsga2", "tpe", "evolution", "predictor"])
def test_several_objectives_are_a_front(new, name) -> None:
    oracle = new(
        objective=["val_loss", keras_tuner.Objective("speed", "max")],
        sampler=SAMPLERS[name](),
        max_trials=12,
    )
    assert [direction.name for direction in oracle.study.directions] == ["MINIMIZE", "MAXIMIZE"]
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        values = trial.hyperparameters.values
        finish(
            oracle, trial, {"val_loss": values["units"] + values["rate"], "speed": values["units"]}
        )
    front = [oracle.optuna_trial(trial.trial_id).number for trial in oracle.front()]
    assert sorted(front) == sorted(trial.number for trial in oracle.study.best_trials)
    best = [trial.trial_id for trial in oracle.get_best_trials(12)]
    assert len(best) == 12
    assert best[: len(front)] == [trial.trial_id for trial in oracle.front()]
    losses = [trial.metrics.get_best_value("val_loss") for trial in oracle.front()]
    assert losses == sorted(losses)


def test_objectives_of_one_step_belong_together(new) -> None:
    oracle = new(objective=["val_loss", "val_accuracy"])
    trial = oracle.create_trial("tuner0")
    for step, (loss_, accuracy) in enumerate([(0.5, 0.5), (0.4, 0.9), (0.1, 0.2)]):
        oracle.update_trial(
            trial.trial_id, {"val_loss": loss_, "val_accuracy": accuracy}, step=step
        )
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert oracle.study.trials[0].values == [0.4, 0.9]  # the best sum; nothing had (0.1, 0.9)


STORAGES: dict[str, Callable[[Any], Any]] = {
    "sqlite": lambda folder: f"sqlite:///{folder}/study.db",
    "journal": lambda folder: optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
    ),
    "memory": lambda folder: None,
}


@pytest.mark.parametrize("kind", STORAGES)
def test_goes_on_after_a_reload(new, tmp_path, kind) -> None:
    arguments = {"storage": STORAGES[kind](tmp_path)}
    if kind != "memory":
        arguments["study_name"] = "s"
    first = new(max_trials=3, **arguments)
    search(first)
    before = first.study.trials
    second = new(max_trials=6, **arguments)
    second.reload()
    after = second.study.trials
    for old, again in zip(before, after, strict=True):
        assert (old.params, old.values, old.user_attrs) == (
            again.params, again.values, again.user_attrs
        )  # fmt: skip
        assert old.distributions == again.distributions
        assert old.datetime_start == again.datetime_start
    assert len(search(second)) == 3
    assert len(second.study.trials) == len(second.trials) == 6
    assert states(second) == ["COMPLETE"] * 6
    numbers = [second.optuna_trial(trial_id).number for trial_id in sorted(second.trials)]
    assert numbers == list(range(6))
    assert second.get_best_trials()[0].score == second.study.best_value


@pytest.mark.parametrize("kind", STORAGES)
def test_a_running_trial_goes_on_after_a_reload(new, tmp_path, kind) -> None:
    """As after a crash: nothing was ended, and nobody was told."""
    arguments = {"storage": STORAGES[kind](tmp_path)}
    if kind != "memory":
        arguments["study_name"] = "s"
    first = new(**arguments)
    finish(first, first.create_trial("tuner0"))
    broken = first.create_trial("tuner0")
    params = first.optuna_trial(broken.trial_id).params
    second = new(**arguments)
    second.reload()
    trial = second.create_trial("tuner0")
    assert trial.trial_id == broken.trial_id
    assert second.optuna_trial(trial.trial_id).params == params
    finish(second, trial)
    search(second)
    assert states(second) == ["COMPLETE"] * 5
    assert len({json.dumps(t.params, sort_keys=True) for t in second.study.trials}) == 5


def test_a_crash_between_the_two_records_is_made_up_for(new, tmp_path, monkeypatch) -> None:
    arguments = {"storage": STORAGES["sqlite"](tmp_path), "study_name": "s"}
    first = new(**arguments)
    monkeypatch.setattr(first._trials, "end", lambda *_: None)  # killed before it
    trial = first.create_trial("tuner0")
    finish(first, trial)
    orphan = first._trials.propose("never begun", first.hyperparameters.space)
    assert states(first) == ["RUNNING", "RUNNING"]
    second = new(**arguments)
    second.reload()
    assert states(second) == ["COMPLETE", "WAITING"]
    assert second.study.trials[0].value == trial.score
    assert second.create_trial("tuner0").hyperparameters.values == orphan
    assert len(second.study.trials) == 2


def test_a_study_that_was_lost_is_made_again(new, tmp_path) -> None:
    arguments = {"storage": STORAGES["sqlite"](tmp_path), "study_name": "s"}
    first = new(**arguments)
    search(first)
    optuna.delete_study(study_name="s", storage=arguments["storage"])
    second = new(**arguments)
    second.reload()
    assert [t.params for t in second.study.trials] == [t.params for t in first.study.trials]
    assert [t.value for t in second.study.trials] == [t.value for t in first.study.trials]


def test_a_project_of_another_oracle_goes_on(new, tmp_path) -> None:
    other = keras_tuner.oracles.RandomSearchOracle(
        "val_loss", max_trials=3, hyperparameters=hyperparameters(), seed=1
    )
    other._set_project_dir(tmp_path, "project")
    other.verbose = 0
    for _ in range(3):
        finish(other, other.create_trial("tuner0"))
    oracle = new()
    oracle.reload()
    assert [trial.value for trial in oracle.study.trials] == [
        other.trials[one].score for one in other.start_order
    ]
    assert len(search(oracle)) == 2


@pytest.mark.parametrize("others", ["val_accuracy", ["val_loss", "val_accuracy"]])
def test_a_project_has_the_objectives_it_began_with(new, others) -> None:
    search(new())
    again = new(objective=others)
    message = "objective: expected val_loss min, of which the project .* got .*val_accuracy max"
    with pytest.raises(StudyMismatchError, match=message):
        again.reload()
    assert again.study.trials == []


def test_a_new_project_leaves_the_storage_alone(new, tmp_path) -> None:
    """As ``overwrite=True`` does: the folder is gone, and the oracle is not reloaded."""
    arguments = {"storage": STORAGES["sqlite"](tmp_path), "study_name": "s"}
    search(new(**arguments))
    oracle = new("another", **arguments)
    assert len(search(oracle)) == 5
    assert len(oracle.study.trials) == 10
    assert len(oracle.get_best_trials(100)) == 5
    assert len({json.dumps(t.params, sort_keys=True) for t in oracle.study.trials}) == 10


def test_a_study_in_memory_is_kept_in_the_project(new, tmp_path) -> None:
    oracle = new(pruner=optuna.pruners.ThresholdPruner(upper=1.0), max_trials=1)
    trial = oracle.create_trial("tuner0")
    oracle.update_trial(trial.trial_id, {EPOCH_PREFIX + "val_loss": 2.0}, step=1)
    finish(oracle, trial)
    assert (tmp_path / "project" / f"trial_{trial.trial_id}" / SIDECAR).exists()
    again = new()
    again.reload()
    assert again.study.trials[0].state == TrialState.PRUNED
    assert again.study.trials[0].intermediate_values == {1: 2.0}
    assert again.study.trials[0].system_attrs == oracle.study.trials[0].system_attrs
