"""Searches as Keras Tuner's guide shows them; the line that makes the tuner is another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_nas import OptunaTuner
from keras_nas._keras import keras
from keras_nas._keras_tuner import keras_tuner

pytestmark = pytest.mark.usefixtures("quiet_optuna", "quick_collections", "eager")

RNG = np.random.default_rng(0)
X = RNG.random((60, 28, 28)).astype("float32")
Y = RNG.integers(0, 10, 60)


def build_model(hp: Any) -> keras.Model:
    """The guide's: any number of layers, each of its own width, dropout, a learning rate."""
    model = keras.Sequential()
    model.add(keras.layers.Flatten())
    for i in range(hp.Int("num_layers", 1, 3)):
        units = hp.Int(f"units_{i}", min_value=32, max_value=512, step=32)
        model.add(keras.layers.Dense(units, activation=hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(rate=0.25))
    model.add(keras.layers.Dense(10, activation="softmax"))
    learning_rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


class MyHyperModel(keras_tuner.HyperModel):
    def build(self, hp: Any) -> keras.Model:
        return build_model(hp)

    def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, shuffle=hp.Boolean("shuffle"), **kwargs)


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # RandomSearch
@pytest.mark.parametrize("make", [keras_tuner.RandomSearch, OptunaTuner])
def test_one_line(tmp_path: Path, make: Any, monkeypatch, capsys) -> None:
    if make is not OptunaTuner:  # it wants tensorboard
        monkeypatch.setattr(keras_tuner.Tuner, "_configure_tensorboard_dir", lambda *_args: None)
    tuner = make(
        hypermodel=build_model,
        objective="val_accuracy",
        max_trials=3,
        executions_per_trial=2,
        overwrite=True,
        directory=tmp_path,
        project_name="helloworld",
    )
    tuner.search_space_summary()
    tuner.search(X, Y, epochs=2, validation_data=(X, Y), batch_size=60, verbose=0)
    models = tuner.get_best_models(num_models=2)
    tuner.results_summary()
    assert {"num_layers (Int)", "lr (Float)", "Trial 2 summary"} <= set(
        capsys.readouterr().out.splitlines()
    )
    assert len(models) == 2
    best, second = tuner.oracle.get_best_trials(2)
    assert best.score >= second.score
    # The weights are those of the best epoch of both executions, the score is their mean.
    assert models[0].evaluate(X, Y, verbose=0)[1] >= best.score - 1e-6
    best_hps = tuner.get_best_hyperparameters(5)
    model = build_model(best_hps[0])
    model.fit(x=X, y=Y, epochs=1, verbose=0)
    assert len(model.layers) == 2 + best_hps[0].get("num_layers") + best_hps[0].get("dropout")


def test_hyperparameters_of_fit(tmp_path: Path) -> None:
    tuner = OptunaTuner(
        MyHyperModel(), objective="val_accuracy", max_trials=3, seed=0, directory=tmp_path
    )
    tuner.search(X, Y, epochs=1, validation_data=(X, Y), batch_size=60, verbose=0)
    assert all("shuffle" in trial.params for trial in tuner.study.trials)
    hp = tuner.get_best_hyperparameters()[0]
    hypermodel = MyHyperModel()
    hypermodel.fit(hp, hypermodel.build(hp), X, Y, epochs=1, verbose=0)


def test_a_metric_of_the_users_own(tmp_path: Path) -> None:
    """`fit` returns what it computed itself; there is no objective but that."""

    class Regressor(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            model = keras.Sequential([keras.layers.Dense(hp.Int("units", 4, 16), "relu")])
            model.add(keras.layers.Dense(1))
            model.compile("adam", "mse")
            return model

        def fit(self, hp: Any, model: Any, x: Any, y: Any, **kwargs: Any) -> float:
            model.fit(x, y, **kwargs)
            return float(np.mean(np.abs(model.predict(x, verbose=0) - y)))

    tuner = OptunaTuner(Regressor(), max_trials=3, seed=0, directory=tmp_path)
    tuner.search(X[:, 0], X[:, 0, :1], epochs=1, batch_size=60, verbose=0)
    errors = [trial.value for trial in tuner.study.trials]
    assert tuner.study.best_value == min(errors) == tuner.oracle.get_best_trials()[0].score


def test_a_black_box(tmp_path: Path) -> None:
    class Parabola(OptunaTuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            x = trial.hyperparameters.Float("x", min_value=-1.0, max_value=1.0)
            return x * x

    tuner = Parabola(max_trials=20, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    assert abs(tuner.get_best_hyperparameters()[0].get("x")) < 0.2


def test_part_of_the_space(tmp_path: Path) -> None:
    """`hyperparameters` overrides, `tune_new_entries` leaves the others at their defaults."""
    hp = keras_tuner.HyperParameters()
    hp.Choice("activation", ["tanh"])
    hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    tuner = OptunaTuner(
        build_model, "val_accuracy", 3, hyperparameters=hp, tune_new_entries=False, seed=0,
        directory=tmp_path,
    )  # fmt: skip
    tuner.search(X, Y, epochs=1, validation_data=(X, Y), batch_size=60, verbose=0)
    assert all(set(trial.params) <= {"activation", "lr"} for trial in tuner.study.trials)
    assert len({trial.params["lr"] for trial in tuner.study.trials}) == 3
