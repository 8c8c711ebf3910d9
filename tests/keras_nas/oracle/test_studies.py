"""Studies and spaces that an `OptunaOracle` is given, and what it proposes."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from keras_nas._keras_tuner import keras_tuner
from keras_nas.binding import StudyMismatchError
from keras_nas.hyperparameters import read_genotype
from keras_nas.oracle import (
    CONSTRAINT_PREFIX,
    KNOWN_PREFIX,
)
from keras_nas.project_study import StudyArgumentError
from optuna_nas import Choice, SearchSpace
from optuna_nas._optuna import FAILURE, record_of, violation_of
from optuna_nas.errors import SpaceMismatchError
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.space import dense
from optuna_nas.spaces import tabular_mlp
from tests.keras_nas.oracle.trials import (
    PARAMS,
    declare,
    finish,
    search,
    states,
)

pytestmark = pytest.mark.usefixtures("quiet_optuna")


def test_directions_and_objectives_must_agree(new) -> None:
    with pytest.raises(
        StudyMismatchError, match=r"expected the directions minimize .* got maximize"
    ):
        new(study=optuna.create_study(direction="maximize"))
    oracle = new(objective="val_loss")
    with pytest.raises(StudyMismatchError, match=r"objective: expected loss, .* got val_mse"):
        new(study=oracle.study, objective=keras_tuner.Objective("val_mse", "min"))


def test_a_storage_needs_a_name_and_a_study_no_storage(new, tmp_path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    with pytest.raises(StudyArgumentError, match="study_name: expected the name"):
        new(storage=storage)
    with pytest.raises(StudyArgumentError, match="study: expected either a study or its storage"):
        new(study=optuna.create_study(), study_name="s")


@pytest.mark.parametrize(
    ("argument", "value"),
    [("sampler", "tpe"), ("sampler", optuna.samplers.TPESampler), ("pruner", "median")],
)
def test_a_study_takes_objects_of_optuna(new, argument, value) -> None:
    with pytest.raises(StudyArgumentError, match=rf"{argument}: expected None or a {argument} of"):
        new(**{argument: value})
    with pytest.raises(StudyArgumentError, match=rf"{argument}: .* got .*{argument}s"):
        new(study=optuna.create_study(), **{argument: value})


def test_settings_of_the_study_are_kept_or_replaced(new) -> None:
    sampler, pruner = optuna.samplers.RandomSampler(), optuna.pruners.ThresholdPruner(upper=1.0)
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    assert new(study=study).study is study
    assert (study.sampler, study.pruner) == (sampler, pruner)
    mine = optuna.samplers.TPESampler()
    new(study=study, sampler=mine)
    assert (study.sampler, study.pruner) == (mine, pruner)
    assert isinstance(new().study.pruner, optuna.pruners.NopPruner)


@pytest.mark.parametrize("seed", [0, 3])
def test_a_seed_repeats_itself(new, seed) -> None:
    runs = [[t.hyperparameters.values for t in search(new(f"{i}", seed=seed))] for i in range(2)]
    assert runs[0] == runs[1]
    assert runs[0] != [t.hyperparameters.values for t in search(new("other", seed=seed + 1))]


def test_what_waits_in_the_study_goes_first(new) -> None:
    study = optuna.create_study()
    study.enqueue_trial({"units": 7, "kind": "a"})
    oracle = new(study=study)
    values = oracle.create_trial("tuner0").hyperparameters.values
    assert (values["units"], values["kind"]) == (7, "a")


def test_what_is_enqueued_is_found_while_a_model_is_built(new) -> None:
    study = optuna.create_study()
    study.enqueue_trial({"kind": "b", "late": 7})
    oracle = new(study=study)
    trial = oracle.create_trial("tuner0")
    assert trial.hyperparameters.Int("late", 1, 9) == 7
    finish(oracle, trial)
    assert study.trials[0].params == trial.hyperparameters.values
    assert study.trials[0].params["late"] == 7


@pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")
def test_what_is_enqueued_with_impossible_values_fails(new) -> None:
    study = optuna.create_study()
    study.enqueue_trial({"kind": "c"})
    study.enqueue_trial({"kind": "b"})
    oracle = new(study=study, max_trials=2)
    with pytest.warns(UserWarning, match=r"trial 0: expected values .* got \{'kind': 'c'\}"):
        assert oracle.create_trial("tuner0").hyperparameters.values["kind"] == "b"
    finish(oracle, oracle.create_trial("tuner0"))
    search(oracle)
    assert states(oracle) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert "'c' not in" in study.trials[0].user_attrs[FAILURE]


def test_a_hyperparameter_has_the_choices_it_has_in_the_study(new, tmp_path) -> None:
    stored = {"storage": f"sqlite:///{tmp_path}/study.db", "study_name": "s"}
    search(new("first", **stored, max_trials=1))
    other = keras_tuner.HyperParameters()
    other.Choice("kind", ["a", "b", "c"])
    message = r"expected 'kind' as study 's' has it, .*\('a', 'b'\).* got .*another study_name"
    oracle = new("second", **stored, hyperparameters=other)
    with pytest.raises(StudyMismatchError, match=message):
        oracle.create_trial("tuner0")
    assert states(oracle) == ["COMPLETE"]
    late = new("third", **stored, hyperparameters=None)
    trial = late.create_trial("tuner0")
    trial.hyperparameters.Choice("kind", ["a", "b", "c"])
    with pytest.raises(StudyMismatchError, match=message):
        finish(late, trial)
    assert states(late)[1:] == ["COMPLETE"]


def _space(units: tuple[int, ...] = (4, 8)) -> SearchSpace:
    return tabular_mlp(input_shape=(4,), classes=3, widths=units, max_blocks=2)


def test_a_declared_space_is_asked_itself(new) -> None:
    space = _space()
    sampler = RegularizedEvolutionSampler(space=space, population_size=4, seed=0)
    oracle = new(space=space, sampler=sampler, max_trials=8, hyperparameters=None)
    oracle.hyperparameters.Float("momentum", 0.0, 0.9)  # what a fit of the user's own asks for
    plain = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(9):
        space.suggest(plain.ask())
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        assert "momentum" in trial.hyperparameters.values
        frozen = oracle.optuna_trial(trial.trial_id)
        genotype = space.genotype(frozen.params)
        assert read_genotype(space, trial.hyperparameters) == genotype
        finish(oracle, trial, {"val_loss": 1.0})
        record = record_of(oracle.optuna_trial(trial.trial_id))
        assert record.canonical_id == space.graph(genotype).canonical_id
        assert record.identity == space.identity(genotype)
    known = {n: d for t in oracle.study.trials for n, d in t.distributions.items()}
    theirs = {n: d for t in plain.trials for n, d in t.distributions.items()}
    both = known.keys() & theirs.keys()
    assert len(both) > 4
    assert all(known[name] == theirs[name] for name in both)
    with pytest.raises(SpaceMismatchError):
        new(space=_space((4, 16)), study=oracle.study, hyperparameters=None)


def test_a_declared_space_decides_for_itself(new) -> None:
    hp = keras_tuner.HyperParameters()
    space = SearchSpace("s", input_shape=(4,), classes=2, body=[dense(Choice("units", [2, 4]))])
    hp.Fixed("units", 2)
    with pytest.raises(
        StudyArgumentError, match="hyperparameters: expected 'units' as the declared space"
    ):
        new(space=space, hyperparameters=hp)


def test_a_rejected_network_is_worth_a_guess(new) -> None:
    oracle = new(space=_space(), hyperparameters=None, objective=["val_accuracy", PARAMS])
    trial = oracle.create_trial("tuner0")
    oracle.update_trial(trial.trial_id, {KNOWN_PREFIX + "params": 70.0}, step=0)
    answer = oracle.update_trial(trial.trial_id, {CONSTRAINT_PREFIX + "params": 20.0}, step=0)
    assert answer.status == "STOPPED"
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    frozen = oracle.study.trials[0]
    assert frozen.values == [pytest.approx(1 / 3), 70.0]
    assert violation_of(frozen) == 20.0
    assert oracle.get_best_trials(9) == oracle.front() == []


def test_hyperparameters_that_come_up_join_the_trial(new) -> None:
    oracle = new(hyperparameters=None)
    trial = oracle.create_trial("tuner0")
    assert trial.hyperparameters.values == {}
    declare(trial.hyperparameters)  # as a build does
    finish(oracle, trial)
    (frozen,) = oracle.study.trials
    assert frozen.params == trial.hyperparameters.values
    assert set(frozen.params) == {"units", "rate", "kind"}
    search(oracle)
    assert states(oracle) == ["COMPLETE"] * 5
    assert all({"units", "rate", "kind"} <= set(t.params) for t in oracle.study.trials)


def test_one_name_with_two_ranges_is_two_parameters_in_any_order(new) -> None:
    """Hyperparameters that a worker sends are sorted by their kind."""

    def twice(hp: Any) -> None:
        kind = hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", [kind]):
            if kind == "a":
                hp.Int("units", 1, 1000)
            else:
                hp.Choice("units", ["few", "many"])

    oracle = new(hyperparameters=None, max_trials=9)
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        twice(trial.hyperparameters)
        trial.hyperparameters.space.reverse()
        finish(oracle, trial, {"val_loss": float(trial.trial_id)})
    assert states(oracle) == ["COMPLETE"] * 9
    for frozen in oracle.study.trials:
        other = "units" if frozen.params["kind"] == "a" else "units [kind=['b']]"
        assert set(frozen.params) == {"kind", other}


def test_new_entries_that_are_not_tuned_are_no_parameters(new) -> None:
    oracle = new(tune_new_entries=False)
    trial = oracle.create_trial("tuner0")
    trial.hyperparameters.Int("late", 1, 5)
    finish(oracle, trial)
    assert "late" not in oracle.study.trials[0].params
    assert "late" not in oracle.create_trial("tuner0").hyperparameters.values


def test_new_entries_that_are_not_allowed_fail_the_trial(new) -> None:
    oracle = new(allow_new_entries=False)
    trial = oracle.create_trial("tuner0")
    trial.hyperparameters.Int("late", 1, 5)
    with pytest.raises(RuntimeError, match="allow_new_entries"):
        finish(oracle, trial)
    assert states(oracle) == ["FAIL"]
    assert "allow_new_entries" in oracle.study.trials[0].user_attrs[FAILURE]
    assert oracle.ongoing_trials == {}
