"""Objectives that report to a `CurveRecorder`."""

from __future__ import annotations

import optuna

from optuna_nas.pruners import CurveRecorder
from optuna_nas.testing.learning_curves import curve


def recorded_quality(trial: optuna.Trial) -> tuple[float, float]:
    """The final value of a learning curve, and an objective that is 1 for all."""
    quality = trial.suggest_float("quality", 0.0, 1.0)
    with CurveRecorder(trial, known={1: 1.0}) as recorder:
        for step, value in enumerate(curve(quality), start=1):
            recorder.report(value, step)
            if recorder.should_prune():
                raise optuna.TrialPruned
    return value, 1.0
