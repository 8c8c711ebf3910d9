"""`LearningCurveCallback` within ``model.fit``, with one and with several objectives."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from keras_nas import LearningCurveCallback
from keras_nas._keras import keras
from optuna_nas._optuna import curve_of, predicted_values
from optuna_nas.pruners import LearningCurvePruner

pytestmark = pytest.mark.usefixtures("quiet_optuna")

EPOCHS = 6


def fit(trial: Any, *, epochs: int = EPOCHS, **arguments: Any) -> list[float]:
    """Fit a line, with a learning rate the trial decides; the validation losses."""
    keras.utils.set_random_seed(0)
    x = np.linspace(-1.0, 1.0, 32, dtype=np.float32)[:, None]
    rate = trial.suggest_float("rate", 0.0, 0.5)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse", metrics=["mae"], run_eagerly=True)
    callback = LearningCurveCallback(trial, **{"monitor": "val_loss", **arguments})
    history = model.fit(
        x, 3.0 * x, validation_data=(x, 3.0 * x), epochs=epochs, verbose=0, callbacks=[callback]
    )
    losses: list[float] = history.history["val_loss"]
    return losses


def test_epochs_reach_the_trial_and_its_pruner() -> None:
    study = optuna.create_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    for rate in (0.3, 0.2, 0.001):
        study.enqueue_trial({"rate": rate})
    study.optimize(lambda trial: fit(trial)[-1], n_trials=3)
    first, _, last = study.trials
    assert list(first.intermediate_values) == list(range(1, EPOCHS + 1))
    assert first.value == pytest.approx(first.intermediate_values[EPOCHS])
    assert last.state == optuna.trial.TrialState.PRUNED
    assert last.last_step == 1


def test_several_objectives() -> None:
    study = optuna.create_study(
        directions=["minimize", "minimize"],
        pruner=LearningCurvePruner(n_startup_trials=2, min_probability=0.3),
    )
    for rate, params in ((0.3, 10), (0.2, 20), (0.001, 30), (0.001, 5)):
        study.enqueue_trial({"rate": rate, "params": params})

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        params = float(trial.suggest_int("params", 1, 100))
        return fit(trial, known={1: params})[-1], params

    study.optimize(objective, n_trials=4)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "PRUNED", "COMPLETE"]  # the last has fewest params
    record = curve_of(study.trials[0])
    assert record is not None
    assert record.steps == list(range(1, EPOCHS + 1))
    predicted = predicted_values(study.trials[2])
    assert predicted is not None
    assert predicted[1] == 30.0


def test_two_learned_objectives() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    trial = study.ask()
    fit(trial, monitor=["val_loss", "val_mae"])
    record = curve_of(study.trials[0])
    assert record is not None
    assert [len(values) for values in record.values] == [EPOCHS, EPOCHS]  # type: ignore[arg-type]


def test_a_frozen_trial_is_left_alone() -> None:
    assert len(fit(optuna.trial.FixedTrial({"rate": 0.1}))) == EPOCHS


def test_a_metric_that_is_not_logged() -> None:
    with pytest.raises(ValueError, match=r"Keras logs no val_accuracy, only .*val_loss"):
        fit(optuna.create_study().ask(), monitor="val_accuracy")
