"""`OptunaTuner` in one process."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import optuna
import pytest

from keras_nas import NASHyperModel, OptunaTuner
from keras_nas._keras import keras
from keras_nas._keras_tuner import keras_tuner
from keras_nas.tuner_arguments import TunerError
from keras_nas.untrained import measure_untrained
from optuna_nas._optuna import record_of
from optuna_nas.errors import NASError
from optuna_nas.pruners import LearningCurvePruner
from optuna_nas.report import leaderboard, write_report
from optuna_nas.spaces import tabular_mlp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0)

pytestmark = pytest.mark.usefixtures("quiet_optuna", "quick_collections", "eager")


def build(hp: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((4,))])
    model.add(keras.layers.Dense(hp.Int("units", 2, 64), hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(0.25))
    model.add(keras.layers.Dense(3, activation="softmax"))
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


class _Unsaved(keras.Sequential):
    def save_weights(self, *_: Any, **__: Any) -> None:
        """Nobody loads them."""


class Scripted(keras_tuner.HyperModel):
    """A model whose training is a curve by its hyperparameter: fits without Keras."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []

    def build(self, hp: Any) -> keras.Model:
        hp.Int("height", 0, 10_000)
        return _Unsaved([keras.Input((1,)), keras.layers.Dense(1)])

    def fit(self, hp: Any, model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> Any:
        history = keras.callbacks.History()
        callbacks = [*callbacks, history]
        for callback in callbacks:
            callback.set_model(model)
            callback.set_params({"epochs": kwargs["epochs"]})
            callback.on_train_begin()
        model.stop_training = False
        for epoch in range(kwargs["epochs"]):
            logs = {"val_accuracy": hp.get("height") * (1 - 0.5 ** (epoch + 1))}
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        self.epochs.append(epoch + 1)
        return history


def _tuner(tmp_path: Any, hypermodel: Any = build, **arguments: Any) -> OptunaTuner:
    defaults: dict[str, Any] = {"objective": "val_accuracy", "max_trials": 3, "seed": 0}
    return OptunaTuner(hypermodel, directory=tmp_path, **{**defaults, **arguments})


def _search(tuner: OptunaTuner, **arguments: Any) -> None:
    defaults = {"epochs": 2, "batch_size": 48, "validation_data": (X, Y), "verbose": 0}
    tuner.search(X, Y, **{**defaults, **arguments})


def test_in_place_of_another_tuner(tmp_path, capsys) -> None:
    tuner = _tuner(tmp_path, sampler=optuna.samplers.TPESampler(seed=0), project_name="p")
    tuner.search_space_summary()
    _search(tuner, callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=1)])
    tuner.results_summary()
    printed = capsys.readouterr().out
    assert "units (Int)" in printed
    assert "Trial 0 summary" in printed
    assert len(tuner.oracle.trials) == len(tuner.study.trials) == 3
    best = tuner.get_best_hyperparameters()[0]
    assert best.values == tuner.study.best_params
    (model,) = tuner.get_best_models()
    accuracy = model.evaluate(X, Y, verbose=0)[1]
    assert accuracy == pytest.approx(tuner.study.best_value)
    assert (tmp_path / "p" / "trial_0" / "checkpoint.weights.h5").exists()


def test_a_metric_may_have_a_value_for_each_class(tmp_path) -> None:
    def per_class(hp: Any) -> keras.Model:
        model = build(hp)
        metrics = [keras.metrics.F1Score(name="f1"), "accuracy"]
        model.compile("adam", "categorical_crossentropy", metrics=metrics)
        return model

    tuner = _tuner(tmp_path, per_class, max_trials=1)
    labels = np.eye(3, dtype="float32")[Y]
    tuner.search(X, labels, epochs=2, validation_data=(X, labels), verbose=0)
    (trial,) = tuner.study.trials
    assert trial.state.name == "COMPLETE"
    assert list(trial.intermediate_values) == [1, 2]
    assert "val_accuracy" in record_of(trial).curve


def test_searches_ten_trials_like_other_tuners(tmp_path) -> None:
    assert OptunaTuner(build, "val_accuracy", directory=tmp_path).remaining_trials == 10


def test_goes_on_after_a_reload(tmp_path) -> None:
    _search(_tuner(tmp_path, max_trials=2))
    tuner = _tuner(tmp_path, max_trials=4)
    before = [trial.params for trial in tuner.study.trials]
    assert len(before) == 2
    _search(tuner)
    assert [trial.params for trial in tuner.study.trials][:2] == before
    assert len(tuner.oracle.trials) == len(tuner.study.trials) == 4
    assert len(tuner.get_best_models(4)) == 4


def test_overwrite_begins_anew(tmp_path) -> None:
    _search(_tuner(tmp_path, max_trials=1))
    tuner = _tuner(tmp_path, max_trials=1, overwrite=True)
    assert tuner.study.trials == []
    _search(tuner)
    assert len(tuner.study.trials) == 1


def test_what_is_compiled_can_be_overridden(tmp_path) -> None:
    tuner = _tuner(
        tmp_path, objective="val_mae", max_trials=1, optimizer="rmsprop", loss="mse",
        metrics=["mae"],
    )  # fmt: skip
    target = np.eye(3, dtype="float32")[Y]
    tuner.search(X, target, epochs=1, validation_data=(X, target), verbose=0)
    model = tuner.get_best_models()[0]
    assert type(model.optimizer).__name__ == "RMSprop"
    assert model.loss == "mse"
    assert tuner.study.direction == optuna.study.StudyDirection.MINIMIZE


def test_too_large_a_model_fails_its_trial(tmp_path) -> None:
    tuner = _tuner(
        tmp_path, max_trials=6, max_model_size=100, max_consecutive_failed_trials=7
    )  # fmt: skip
    _search(tuner, epochs=1)
    for trial in tuner.study.trials:
        large = trial.params["units"] * 8 + 3 > 100
        assert (trial.state == optuna.trial.TrialState.FAIL) == large
    assert len({trial.state for trial in tuner.study.trials}) == 2
    assert len(tuner.get_best_models(6)) < 6  # those that were trained


def test_a_run_trial_of_the_users_own(tmp_path) -> None:
    class Function(OptunaTuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            x = trial.hyperparameters.Float("x", -1.0, 1.0)
            return x * x

    tuner = Function(max_trials=3, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    values = [trial.params["x"] ** 2 for trial in tuner.study.trials]
    assert [trial.value for trial in tuner.study.trials] == pytest.approx(values)
    assert len(set(values)) == 3
    assert tuner.get_best_hyperparameters()[0].get("x") ** 2 == pytest.approx(min(values))


def test_a_run_trial_that_adds_to_ours(tmp_path) -> None:
    class Batches(OptunaTuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs["batch_size"] = trial.hyperparameters.Choice("batch_size", [16, 48])
            return super().run_trial(trial, *args, **kwargs)

    hypermodel = Scripted()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
    tuner = Batches(
        hypermodel, "val_accuracy", 8, seed=0, pruner=pruner, directory=tmp_path
    )  # fmt: skip
    tuner.search(epochs=4, verbose=0)
    trials = tuner.study.trials
    assert [len(trial.intermediate_values) for trial in trials] == hypermodel.epochs
    assert min(hypermodel.epochs) < 4
    assert {trial.params["batch_size"] for trial in trials} == {16, 48}


# --- pruning -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: optuna.pruners.MedianPruner(n_startup_trials=1),
        lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=6, reduction_factor=2),
        lambda: LearningCurvePruner(n_startup_trials=2, min_probability=0.4),
    ],
    ids=["median", "halving", "hyperband", "learning curve"],
)
def test_pruners_stop_training(tmp_path, make, capsys) -> None:
    hypermodel = Scripted()
    sampler = optuna.samplers.RandomSampler(seed=1)
    tuner = _tuner(tmp_path, hypermodel, max_trials=12, pruner=make(), sampler=sampler)
    tuner.search(epochs=6)
    states = [trial.state for trial in tuner.study.trials]
    assert states.count(optuna.trial.TrialState.PRUNED) > 0
    assert states.count(optuna.trial.TrialState.PRUNED) == sum(n < 6 for n in hypermodel.epochs)
    for trial, epochs in zip(tuner.study.trials, hypermodel.epochs, strict=True):
        expected = [trial.params["height"] * (1 - 0.5**step) for step in range(1, epochs + 1)]
        assert list(trial.intermediate_values.values()) == pytest.approx(expected)
        assert list(trial.intermediate_values) == list(range(1, epochs + 1))
    best = max(range(12), key=lambda n: tuner.study.trials[n].params["height"])
    assert tuner.study.best_trial.number == best
    assert tuner.get_best_hyperparameters()[0].values == tuner.study.best_params
    tuner.results_summary(12)
    printed = capsys.readouterr().out
    assert printed.count("Score: ") == 12
    assert printed.count("Pruned\n") == states.count(optuna.trial.TrialState.PRUNED)


def test_nothing_is_pruned_unless_asked(tmp_path) -> None:
    hypermodel = Scripted()
    tuner = _tuner(tmp_path, hypermodel, max_trials=12)
    tuner.search(epochs=6, verbose=0)
    assert hypermodel.epochs == [6] * 12


def test_a_pruned_trial_is_not_executed_again(tmp_path) -> None:
    hypermodel = Scripted()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
    tuner = _tuner(tmp_path, hypermodel, max_trials=8, pruner=pruner, executions_per_trial=2)
    tuner.search(epochs=4, verbose=0)
    states = [trial.state for trial in tuner.study.trials]
    pruned = states.count(optuna.trial.TrialState.PRUNED)
    assert 0 < pruned < 8
    assert len(hypermodel.epochs) == 2 * 8 - pruned


def test_several_objectives_are_pruned_by_learning_curves(tmp_path) -> None:
    class Two(Scripted):
        def build(self, hp: Any) -> keras.Model:
            model = super().build(hp)
            model.add(keras.layers.Dense(hp.Int("width", 1, 30)))
            return model

    hypermodel = Two()
    tuner = _tuner(
        tmp_path,
        hypermodel,
        max_trials=16,
        objective=["val_accuracy", "params"],
        pruner=LearningCurvePruner(n_startup_trials=4, min_probability=0.4),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    tuner.search(epochs=8, verbose=0)
    states = [trial.state for trial in tuner.study.trials]
    pruned = states.count(optuna.trial.TrialState.PRUNED)
    assert pruned == sum(n < 8 for n in hypermodel.epochs) > 0
    front = {t.number for t in tuner.study.best_trials}
    complete = [t for t in tuner.study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    for trial in complete:
        dominated = any(
            o.values[0] >= trial.values[0] and o.values[1] <= trial.values[1] and o is not trial
            for o in complete
        )
        assert (trial.number in front) != dominated


def test_optunas_pruners_judge_one_objective(tmp_path) -> None:
    with pytest.raises(TunerError, match=r"pruner: with several .* got MedianPruner\. Use "):
        _tuner(
            tmp_path,
            objective=["val_accuracy", "val_loss"],
            pruner=optuna.pruners.MedianPruner(),
        )


# --- measures before training ---------------------------------------------------------------------


def test_measures_are_objectives(tmp_path) -> None:
    tuner = _tuner(
        tmp_path, objective=["val_accuracy", "params", "latency_ms"], max_trials=4,
        latency_seconds=0.01,
    )  # fmt: skip
    _search(tuner)
    for trial in tuner.study.trials:
        assert trial.values[1] == trial.params["units"] * 8 + 3
        assert trial.values[2] > 0
    front = [trial.number for trial in tuner.study.best_trials]
    best = tuner.oracle.get_best_trials(len(front))
    assert sorted(tuner.oracle.optuna_trial(t.trial_id).number for t in best) == front
    models = tuner.get_best_models(len(front))
    params = {measure_untrained(model, ("params",)).values["params"] for model in models}
    assert params == {tuner.study.trials[number].values[1] for number in front}


def test_models_that_are_built_by_their_data_are_measured(tmp_path) -> None:
    def unbuilt(hp: Any) -> keras.Model:
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 9)), keras.layers.Dense(3)])
        model.compile("sgd", "mse")
        return model

    tuner = _tuner(tmp_path, unbuilt, objective=["val_loss", "macs"], max_trials=2)
    tuner.search(X, X[:, :3], epochs=1, validation_data=(X, X[:, :3]), verbose=0)
    macs = {t.params["units"]: t.values[1] for t in tuner.study.trials}
    assert len(macs) == 2
    assert sorted(macs.values()) == [macs[units] for units in sorted(macs)]


def test_a_model_over_a_limit_is_not_trained(tmp_path, capsys) -> None:
    trained = []

    class Noting(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return build(hp)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            class Epochs(keras.callbacks.Callback):
                def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                    trained.append(hp.get("units"))

            kwargs["callbacks"].append(Epochs())
            return model.fit(*args, **kwargs)

    limit = 20 * 8 + 3
    tuner = _tuner(tmp_path, Noting(), max_trials=8, max_params=limit)
    _search(tuner, epochs=1, verbose=2)
    printed = capsys.readouterr().out
    within = {t.number for t in tuner.study.trials if t.params["units"] <= 20}
    assert 0 < len(within) < 8
    assert printed.count("Not trained: params over the limit") == 8 - len(within)
    assert sorted(trained) == sorted(tuner.study.trials[n].params["units"] for n in within)
    for trial in tuner.study.trials:
        assert trial.state == optuna.trial.TrialState.COMPLETE
        assert (trial.constraints["params"] > 0) == (trial.number not in within)
    assert tuner.study.best_trial.number in within
    tuner.results_summary()
    assert len(tuner.get_best_models(8)) == len(within)


def test_a_latency_over_the_limit_costs_no_epoch(tmp_path) -> None:
    hypermodel = Scripted()
    tuner = _tuner(tmp_path, hypermodel, max_trials=5, max_latency_ms=1e-9, latency_seconds=0.01)
    tuner.search(epochs=3, verbose=0)
    assert hypermodel.epochs == []
    assert all(t.constraints["latency_ms"] > 0 for t in tuner.study.trials)
    assert len(tuner.study.trials) == 5  # and none of them is a failure
    assert tuner.get_best_models() == []


def test_measures_need_the_callbacks(tmp_path) -> None:
    class Deaf(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return build(hp)

        def fit(self, hp: Any, model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> Any:
            return model.fit(*args, **kwargs)

    tuner = _tuner(tmp_path, Deaf(), max_params=5)
    with pytest.raises(keras_tuner.errors.FatalError, match=r"params .* Hand the callbacks .* on"):
        _search(tuner)


def test_a_limit_must_be_a_limit(tmp_path) -> None:
    with pytest.raises(NASError, match="max_macs must be above 0, got -1"):
        _tuner(tmp_path, max_macs=-1)


# --- studies --------------------------------------------------------------------------------------


def test_a_declared_space_fills_the_report(tmp_path) -> None:
    space = tabular_mlp(input_shape=(4,), classes=3, widths=(4, 8), max_blocks=2)
    tuner = _tuner(tmp_path, NASHyperModel(space), max_trials=4, objective=["val_accuracy", "macs"])
    _search(tuner)
    for trial in tuner.study.trials:
        graph = space.graph(space.genotype(trial.params))
        record = record_of(trial)
        assert record.canonical_id == graph.canonical_id
        assert (record.params, record.macs) == (graph.params, graph.macs)
        assert trial.values[1] == graph.macs
        assert len(record.curve["val_accuracy"]) == 2
        assert record.seconds["total"] > 0
    assert all(row.epochs == 2 for row in leaderboard(tuner.study))
    write_report(tuner.study, tmp_path / "report")
    page = next((tmp_path / "report").rglob("*.html")).read_text()
    assert "Architecture" in page
    assert "Learning curves" in page


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_search_goes_on(tmp_path, error) -> None:
    stops = [2]

    class Interrupted(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            stops[0] -= 1
            if stops[0] == -1:
                raise error

    storage = f"sqlite:///{tmp_path}/study.db"
    tuner = _tuner(tmp_path, storage=storage, study_name="s")
    with pytest.raises(error):
        _search(tuner, callbacks=[Interrupted()])
    states = [trial.state.name for trial in tuner.study.trials]
    assert states.count("COMPLETE") == 1
    assert "RUNNING" not in states
    again = _tuner(tmp_path, storage=storage, study_name="s")
    _search(again)
    states = [trial.state.name for trial in again.study.trials]
    assert states.count("COMPLETE") == 3
    assert "RUNNING" not in states
    assert len(again.oracle.trials) == 3


def test_directions_of_a_study_must_agree(tmp_path) -> None:
    study = optuna.create_study(direction="minimize")
    with pytest.raises(ValueError, match="direction"):
        _tuner(tmp_path, study=study)


def test_an_objective_of_unknown_direction(tmp_path) -> None:
    with pytest.raises(TunerError, match=r"objective: .* got 'latency'.* keras_tuner\.Objective"):
        _tuner(tmp_path, objective="latency")
    tuner = _tuner(tmp_path, objective=keras_tuner.Objective("latency", "max"))
    assert tuner.study.direction == optuna.study.StudyDirection.MAXIMIZE


def test_tensorboard_is_needed_for_its_callback_only(tmp_path, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams", None)
    tuner = _tuner(tmp_path, max_trials=1)

    class TensorBoard(keras.callbacks.Callback):
        log_dir = os.fspath(tmp_path)

    with pytest.raises(keras_tuner.errors.FatalError, match="needs the package tensorboard"):
        _search(tuner, callbacks=[TensorBoard()])
    tuner = _tuner(tmp_path, max_trials=1, overwrite=True)
    _search(tuner)
    assert len(tuner.study.trials) == 1
