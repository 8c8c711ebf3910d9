"""What tests that run Keras Tuner share."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from keras_nas._keras import keras


@pytest.fixture(scope="module")
def quick_collections() -> None:
    """Keras Tuner collects garbage before each model: spare it all that is there already."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracing takes longer than the training of networks this small."""
    compile_model = keras.Model.compile

    def compile_eagerly(self: Any, *args: Any, **kwargs: Any) -> None:
        compile_model(self, *args, **{**kwargs, "run_eagerly": True})

    monkeypatch.setattr(keras.Model, "compile", compile_eagerly)
