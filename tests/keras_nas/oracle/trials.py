"""Trials asked for, reported and ended by hand, as a tuner does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_nas._keras_tuner import keras_tuner
from keras_nas.oracle import (
    OptunaOracle,
)

PARAMS = keras_tuner.Objective("params", "min")


def declare(hp: Any) -> None:
    hp.Int("units", 1, 9)
    hp.Float("rate", 1e-3, 1.0, sampling="log")
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        hp.Boolean("extra")


def hyperparameters(define: Callable[[Any], None] = declare) -> Any:
    hp = keras_tuner.HyperParameters()
    define(hp)
    return hp


def loss(values: dict[str, Any]) -> float:
    return (values.get("units", 0) - 3) ** 2 + values.get("rate", 0.0) + values.get("extra", 0)


def finish(oracle: OptunaOracle, trial: Any, metrics: Any = None, **answer: Any) -> None:
    """What a tuner does after training."""
    if answer.get("status", "COMPLETED") == "COMPLETED":
        metrics = metrics or {"val_loss": loss(trial.hyperparameters.values)}
        oracle.update_trial(trial.trial_id, metrics)
    trial.status = answer.get("status", "COMPLETED")
    trial.message = answer.get("message")
    oracle.end_trial(trial)


def search(oracle: OptunaOracle, tuner: str = "tuner0") -> list[Any]:
    """Run trials until there are none; returns them."""
    trials = []
    while (trial := oracle.create_trial(tuner)).status == "RUNNING":
        finish(oracle, trial)
        trials.append(trial)
    assert trial.status == "STOPPED"
    return trials


def states(oracle: OptunaOracle) -> list[str]:
    return [trial.state.name for trial in oracle.study.trials]
