"""Objectives and pruners as an `OptunaTuner` takes them."""

from __future__ import annotations

from typing import Any

from optuna.pruners import BasePruner, NopPruner

from keras_nas._keras_tuner import keras_tuner
from keras_nas.untrained import KNOWN
from optuna_nas.errors import NASError
from optuna_nas.pruners import LearningCurvePruner


class TunerError(NASError, ValueError):
    """An `OptunaTuner` is asked for something that has no meaning."""


def with_directions(objective: Any) -> Any:
    """Objectives as Keras Tuner takes them, with the directions that it can't infer.

    Raises:
        TunerError: The direction of one is not known.
    """
    if isinstance(objective, (list, tuple)):
        return [with_directions(one) for one in objective]
    if not isinstance(objective, str):
        return objective
    if objective in KNOWN:
        return keras_tuner.Objective(objective, "min")
    if keras_tuner.engine.metrics_tracking.infer_metric_direction(objective) is None:
        raise TunerError(
            f"objective: expected a metric of Keras or one of {', '.join(KNOWN)}, got "
            f"{objective!r}, whose direction is not known. If the model or its fit gives that "
            f'metric, use keras_tuner.Objective({objective!r}, "max"), or "min".',
            objective,
        )
    return objective


def check_pruner(pruner: BasePruner | None, objectives: Any) -> None:
    """Refuse a pruner that can't judge several objectives.

    Raises:
        TunerError: It can't, and there are several.
    """
    several = isinstance(objectives, list) and len(objectives) > 1
    if several and not isinstance(pruner, (NopPruner, LearningCurvePruner, type(None))):
        raise TunerError(
            f"pruner: with several objectives expected a LearningCurvePruner or none, for Optuna's "
            f"pruners judge one objective, got {type(pruner).__name__}. Use "
            "optuna_nas.pruners.LearningCurvePruner(), or one objective.",
            pruner,
        )
