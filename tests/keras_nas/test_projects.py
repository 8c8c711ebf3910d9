"""Projects that Keras Tuner's own tuners made, read into Optuna studies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from keras_nas import study_from_project
from keras_nas._keras_tuner import keras_tuner
from keras_nas.binding import StudyMismatchError
from keras_nas.hyperparameters import declare
from keras_nas.oracle import EPOCH_PREFIX, OptunaOracle
from keras_nas.projects import ProjectError
from keras_nas.trial_conversion import SIDECAR, TrialFileError
from optuna_nas._optuna import FAILURE, curve_of, objectives_of, record_of
from optuna_nas.errors import GenotypeError
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.spaces import tabular_mlp

pytestmark = pytest.mark.usefixtures("quiet_optuna")


def declared() -> Any:
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 1, 30)
    hp.Float("rate", 1e-3, 1.0, sampling="log")
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        hp.Boolean("extra")
    return hp


class Fake(keras_tuner.engine.base_tuner.BaseTuner):
    """Runs any oracle of Keras Tuner without a model."""

    def run_trial(self, trial: Any, *args: Any, fails: Any = (), **kwargs: Any) -> Any:
        hp = trial.hyperparameters
        late = hp.Int("late", 1, 3)  # asked for while the model is built
        if trial.trial_id in fails:
            raise fails[trial.trial_id]
        epochs = hp.values.get("tuner/epochs", 5)
        return self.results(hp.get("units") + late + 10.0 / epochs)

    def results(self, loss: float) -> Any:
        return {"val_loss": loss, "loss": loss / 2, "val_accuracy": 1.0 / loss}


ORACLES: dict[str, Callable[..., Any]] = {
    "random": lambda **settings: keras_tuner.oracles.RandomSearchOracle(max_trials=8, **settings),
    "bayesian": lambda **settings: keras_tuner.oracles.BayesianOptimizationOracle(
        max_trials=8, num_initial_points=6, **settings
    ),
    "grid": lambda **settings: keras_tuner.oracles.GridSearchOracle(max_trials=8, **settings),
    "hyperband": lambda **settings: keras_tuner.oracles.HyperbandOracle(max_epochs=9, **settings),
}


@pytest.fixture
def made(tmp_path) -> Callable[..., Any]:
    """Makes a project; returns its oracle."""

    def make(
        kind: str = "random", *, tuner: type[Fake] = Fake, fails: Any = None, **settings: Any
    ) -> Any:
        defaults = {"objective": "val_loss", "seed": 1, "hyperparameters": declared()}
        settings = {**defaults, "max_consecutive_failed_trials": 9, **settings}
        oracle = ORACLES[kind](**settings)
        tuner(oracle, directory=tmp_path, project_name="p").search(fails=fails or {}, verbose=0)
        return oracle

    return make


@pytest.mark.parametrize("kind", ["random", "bayesian", "grid"])
def test_trials_values_and_states(made, tmp_path, kind) -> None:
    fails = {"3": ValueError("too wide"), "5": keras_tuner.errors.FailedTrialError("no room")}
    oracle = made(kind, fails=fails, max_retries_per_trial=1)
    study = study_from_project(tmp_path, "p")
    assert study.study_name == "p"
    assert objectives_of(study) == ("loss",)
    assert len(study.trials) == len(oracle.trials) == 8
    for trial_id, frozen in zip(oracle.start_order, study.trials, strict=True):
        theirs = oracle.trials[trial_id]
        assert frozen.params == theirs.hyperparameters.values
        if trial_id in fails:
            assert frozen.state == TrialState.FAIL
            assert str(fails[trial_id]) in frozen.user_attrs[FAILURE]
        else:
            assert (frozen.state, frozen.value) == (TrialState.COMPLETE, theirs.score)
            assert record_of(frozen).accuracy == pytest.approx(1 / theirs.score)
    assert study.best_value == oracle.get_best_trials()[0].score
    study.sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=2)
    trial = study.ask()
    assert 1 <= trial.suggest_int("units", 1, 30) <= 30
    assert trial.distributions["units"] == study.trials[0].distributions["units"]


def test_hyperband_is_its_rungs(made, tmp_path) -> None:
    oracle = made("hyperband", hyperband_iterations=1)
    study = study_from_project(tmp_path, "p")
    assert len(study.trials) == len(oracle.trials)
    seen = set()
    for trial_id, frozen in zip(oracle.start_order, study.trials, strict=True):
        values = oracle.trials[trial_id].hyperparameters.values
        epochs = values["tuner/epochs"]
        assert not any(name.startswith("tuner/") for name in frozen.params)
        assert frozen.state == (TrialState.COMPLETE if epochs == 9 else TrialState.PRUNED)
        assert max(frozen.intermediate_values) == epochs
        assert frozen.intermediate_values[epochs] == oracle.trials[trial_id].score
        if (past := values.get("tuner/trial_id")) is not None:
            number = oracle.start_order.index(past)
            before = study.trials[number]
            assert before.intermediate_values.items() < frozen.intermediate_values.items()
        seen.add(tuple(frozen.intermediate_values))
    assert (1, 3, 9) in seen


def test_several_objectives_must_be_named(made, tmp_path) -> None:
    class Both(Fake):
        def results(self, loss: float) -> Any:
            return {"multi_objective": loss - 1 / loss, **super().results(loss)}

    names = ["val_loss", "val_accuracy"]
    oracle = made("hyperband", objective=names, tuner=Both, hyperband_iterations=1)
    with pytest.raises(ProjectError, match=r"objective: expected what .* there are several"):
        study_from_project(tmp_path, "p")
    study = study_from_project(tmp_path, "p", objective=names)
    assert [one.name for one in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    for trial_id, frozen in zip(oracle.start_order, study.trials, strict=True):
        tracker = oracle.trials[trial_id].metrics
        expected = [tracker.get_best_value(name) for name in names]
        if frozen.state == TrialState.COMPLETE:
            assert frozen.values == expected
        curve = curve_of(frozen)
        assert curve is not None
        assert [column[-1] for column in curve.values] == expected
    assert study.best_trials


@pytest.mark.filterwarnings("ignore:The use case of calling:DeprecationWarning")
def test_curves_where_files_hold_them(made, tmp_path) -> None:
    class Reporting(Fake):
        """As tuners did before Keras Tuner 1.1: every epoch is an update."""

        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            for epoch in range(3):
                metrics = {"val_loss": 9.0 - epoch, "val_accuracy": 0.1 * epoch}
                self.oracle.update_trial(trial.trial_id, metrics, step=epoch)

    made(tuner=Reporting)
    study = study_from_project(tmp_path, "p")
    for frozen in study.trials:
        assert frozen.value == 7.0
        assert frozen.intermediate_values == {0: 9.0, 1: 8.0, 2: 7.0}
        assert record_of(frozen).curve == {
            "val_loss": [9.0, 8.0, 7.0],
            "val_accuracy": pytest.approx([0.0, 0.1, 0.2]),
        }


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_reading_twice_adds_what_is_new(made, tmp_path, kind) -> None:
    made()
    if kind == "memory":
        study = study_from_project(tmp_path, "p")
        again: dict[str, Any] = {"study": study}
    else:
        again = {"storage": f"sqlite:///{tmp_path}/study.db", "study_name": "s"}
        study = study_from_project(tmp_path, "p", **again)
    assert len(study.trials) == 8
    assert len(study_from_project(tmp_path, "p", **again).trials) == 8
    shutil.move(tmp_path / "p", tmp_path / "moved")
    assert len(study_from_project(tmp_path, "moved", **again).trials) == 8
    made(seed=500)  # Keras Tuner's seeds 1 and 2 draw nearly the same
    assert len(study_from_project(tmp_path, "p", **again).trials) == 16


def test_trials_that_are_not_over_are_left_out_until_they_are(made, tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        made(fails={"4": KeyboardInterrupt()})
    study = study_from_project(tmp_path, "p")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4
    made()
    study_from_project(tmp_path, "p", study=study)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 8


def test_directions_of_the_study_must_agree(made, tmp_path) -> None:
    made()
    study = optuna.create_study(direction="maximize")
    with pytest.raises(StudyMismatchError, match="directions minimize"):
        study_from_project(tmp_path, "p", study=study)
    assert study.trials == []


def test_what_the_files_do_not_tell_is_asked_for(made, tmp_path) -> None:
    class Same(Fake):
        def results(self, loss: float) -> Any:
            return {"val_loss": loss, "loss": loss}

    made(tuner=Same)
    with pytest.raises(ProjectError, match=r"scores are those of val_loss, loss\. Give it"):
        study_from_project(tmp_path, "p")
    assert len(study_from_project(tmp_path, "p", objective="val_loss").trials) == 8
    with pytest.raises(ValueError, match=r"completed without .* val_mae; it has val_loss.*\. Give"):
        study_from_project(tmp_path, "p", objective="val_mae")


def test_a_project_where_nothing_completed(made, tmp_path) -> None:
    made(fails={str(i): ValueError("no") for i in range(8)})
    with pytest.raises(ProjectError, match="no trial completed"):
        study_from_project(tmp_path, "p")
    study = study_from_project(tmp_path, "p", objective="val_loss")
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 8


# --- damaged files -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{", "[]", '{"trial_id": "2"}'])
def test_a_damaged_file_is_named_and_nothing_is_added(made, tmp_path, text) -> None:
    made()
    whole = study_from_project(tmp_path, "p")
    path = tmp_path / "p" / "trial_2" / "trial.json"
    path.write_text(text)
    study = optuna.create_study()
    with pytest.raises(TrialFileError, match=r"trial_2/trial\.json: .* move its folder away"):
        study_from_project(tmp_path, "p", study=study)
    assert study.trials == []
    shutil.move(path.parent, tmp_path / "aside")
    study_from_project(tmp_path, "p", study=study)
    assert len(study.trials) == 7
    assert [t.params for t in study.trials] == [t.params for t in whole.trials if t.number != 2]


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_damaged_oracle_is_named(made, tmp_path, text) -> None:
    made()
    path = tmp_path / "p" / "oracle.json"
    path.write_text(text)
    with pytest.raises(TrialFileError, match=r"oracle\.json: expected .* move it away"):
        study_from_project(tmp_path, "p")
    path.unlink()
    assert len(study_from_project(tmp_path, "p").trials) == 8


def test_a_folder_without_a_project(tmp_path) -> None:
    with pytest.raises(ProjectError, match=r"neither an oracle\.json nor trials"):
        study_from_project(tmp_path, "nothing")
    assert not (tmp_path / "nothing").exists()


# --- declared spaces and projects of our own -----------------------------------------------------


def test_a_declared_space_has_its_own_distributions(made, tmp_path) -> None:
    space = tabular_mlp(input_shape=(4,), classes=3, widths=(4, 8), max_blocks=2)
    hp = keras_tuner.HyperParameters()
    declare(space, hp)

    class OfSpace(Fake):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return self.results(float(len(trial.hyperparameters.values)))

    made(tuner=OfSpace, hyperparameters=hp)
    study = study_from_project(tmp_path, "p", space=space)
    plain = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    asked = {}
    for _ in range(20):
        trial = plain.ask()
        space.suggest(trial)
        asked.update(trial.distributions)
    for frozen in study.trials:
        genotype = space.genotype(frozen.params)
        assert record_of(frozen).canonical_id == space.graph(genotype).canonical_id
        assert all(asked.get(name, one) == one for name, one in frozen.distributions.items())
    known = {space.identity(space.genotype(trial.params)) for trial in study.trials}
    study.sampler = RegularizedEvolutionSampler(space=space, population_size=4, seed=0)
    assert space.identity(space.suggest(study.ask())) not in known
    other = tabular_mlp(input_shape=(4,), classes=3, widths=(5, 9), max_blocks=2)
    with pytest.raises(GenotypeError):
        study_from_project(tmp_path, "p", space=other)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_project_of_our_own_is_read_as_it_was(tmp_path, kind) -> None:
    again: dict[str, Any] = {}
    if kind == "sqlite":
        again = {"storage": f"sqlite:///{tmp_path}/study.db", "study_name": "s"}
    oracle = OptunaOracle(
        "val_loss", 3, hyperparameters=declared(), seed=0,
        pruner=optuna.pruners.ThresholdPruner(upper=1.0), **again,
    )  # fmt: skip
    oracle._set_project_dir(tmp_path, "p")
    oracle.verbose = 0
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        value = float(trial.trial_id)
        oracle.update_trial(trial.trial_id, {EPOCH_PREFIX + "val_loss": value}, step=1)
        oracle.update_trial(trial.trial_id, {"val_loss": value})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    before = oracle.study.trials
    assert [trial.state.name for trial in before] == ["COMPLETE", "COMPLETE", "PRUNED"]
    study = study_from_project(tmp_path, "p", **again)  # nothing of it twice
    assert [(trial.state, trial.params, trial.intermediate_values) for trial in study.trials] == [
        (trial.state, trial.params, trial.intermediate_values) for trial in before
    ]
    if kind == "memory":
        (tmp_path / "p" / "trial_1" / SIDECAR).write_text("{")
        with pytest.raises(TrialFileError, match=r"optuna\.json: expected a trial of Optuna"):
            study_from_project(tmp_path, "p")


def test_a_tuner_goes_on_with_what_was_read(made, tmp_path) -> None:
    made()
    again = {"storage": f"sqlite:///{tmp_path}/study.db", "study_name": "s"}
    study = study_from_project(tmp_path, "p", **again)
    oracle = OptunaOracle("val_loss", 9, hyperparameters=declared(), **again)
    oracle._set_project_dir(tmp_path, "p")
    oracle.reload()
    assert len(oracle.trials) == len(study.trials) == 8
    assert oracle.get_best_trials()[0].score == study.best_value


def test_the_project_is_left_as_it_is(made, tmp_path) -> None:
    def contents() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in (tmp_path / "p").rglob("*") if p.is_file()}

    made()
    before = contents()
    study_from_project(tmp_path, "p")
    assert contents() == before
    started = json.loads((tmp_path / "p" / "oracle.json").read_text())["display"]["trial_start"]
    assert not started  # of a quiet search the start is not known
