"""Optuna pruners that look ahead, and reports for studies with several objectives."""

from optuna_nas.pruners.curve_recorder import CurveRecorder
from optuna_nas.pruners.discard import DiscardPruner
from optuna_nas.pruners.learning_curve import LearningCurvePruner

__all__ = ["CurveRecorder", "DiscardPruner", "LearningCurvePruner"]
