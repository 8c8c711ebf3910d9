"""Neural architecture search for Keras: graphs become models, trained, exported and searched for.

Importing this package costs next to nothing: a public name brings its module, and with it Keras,
when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_nas.applications import hypermodel_block
    from keras_nas.blocks import register_block
    from keras_nas.build import build_model
    from keras_nas.data import Dataset
    from keras_nas.export import export_onnx
    from keras_nas.hypermodel import NASHyperModel
    from keras_nas.learning_curve_callback import LearningCurveCallback
    from keras_nas.objective import NASObjective
    from keras_nas.oracle import OptunaOracle
    from keras_nas.projects import study_from_project
    from keras_nas.supernet import Supernet
    from keras_nas.training import TrainingResult, evaluate, predict, train
    from keras_nas.tuner import OptunaTuner

_HOMES = {
    "Dataset": "keras_nas.data",
    "LearningCurveCallback": "keras_nas.learning_curve_callback",
    "NASHyperModel": "keras_nas.hypermodel",
    "NASObjective": "keras_nas.objective",
    "OptunaOracle": "keras_nas.oracle",
    "OptunaTuner": "keras_nas.tuner",
    "Supernet": "keras_nas.supernet",
    "TrainingResult": "keras_nas.training",
    "build_model": "keras_nas.build",
    "evaluate": "keras_nas.training",
    "export_onnx": "keras_nas.export",
    "predict": "keras_nas.training",
    "hypermodel_block": "keras_nas.applications",
    "register_block": "keras_nas.blocks",
    "study_from_project": "keras_nas.projects",
    "train": "keras_nas.training",
}

__all__ = [
    "Dataset",
    "LearningCurveCallback",
    "NASHyperModel",
    "NASObjective",
    "OptunaOracle",
    "OptunaTuner",
    "Supernet",
    "TrainingResult",
    "build_model",
    "evaluate",
    "export_onnx",
    "hypermodel_block",
    "predict",
    "register_block",
    "study_from_project",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
