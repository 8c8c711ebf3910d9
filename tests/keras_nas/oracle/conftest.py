"""Oracles without a tuner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keras_nas.oracle import (
    OptunaOracle,
)
from tests.keras_nas.oracle.trials import hyperparameters


@pytest.fixture
def new(tmp_path) -> Callable[..., OptunaOracle]:
    """Makes oracles of one project."""

    def make(folder: str = "project", **arguments: Any) -> OptunaOracle:
        defaults: dict[str, Any] = {"objective": "val_loss", "max_trials": 5, "seed": 0}
        defaults["hyperparameters"] = hyperparameters()
        oracle = OptunaOracle(**{**defaults, **arguments})
        oracle._set_project_dir(tmp_path, folder)
        oracle.verbose = 0
        return oracle

    return make
