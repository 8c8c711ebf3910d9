"""Augmented examples in Keras's own ``fit``, as a hypermodel's space decides."""

from __future__ import annotations

import functools
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from keras_nas import NASHyperModel
from keras_nas.augmentation import Augmentation
from keras_nas.augmented_batches import AugmentedBatches
from keras_nas.hyperparameters import genotype_from
from optuna_nas.errors import NASError, SpaceError
from optuna_nas.space import Choice, SearchSpace, flatten
from optuna_nas.spaces import training_decisions


def images(count: int = 21) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 8, 8, 1)).astype(np.float32), np.arange(count) % 3


def test_an_epoch_holds_every_example() -> None:
    x, y = images()
    batches = AugmentedBatches(x, y, 8, Augmentation(flip=True))
    assert [len(batches[i][0]) for i in range(len(batches))] == [8, 8, 5]
    epochs = []
    for _ in range(2):
        seen = np.concatenate([batches[i][0] for i in range(len(batches))])
        labels = np.concatenate([batches[i][1] for i in range(len(batches))])
        # A mirrored image has the values of its original.
        np.testing.assert_allclose(np.sort(seen.sum((1, 2, 3))), np.sort(x.sum((1, 2, 3))), 1e-4)
        assert sorted(labels) == sorted(y)
        epochs.append(seen)
        batches.on_epoch_end()
    assert not np.array_equal(*epochs)


def hypermodel(**augmentation: Any) -> NASHyperModel:
    training = [Choice(name, [value]) for name, value in augmentation.items()]
    space = SearchSpace("s", input_shape=(8, 8, 1), classes=3, body=[flatten()], training=training)
    return NASHyperModel(space)


def fitted(hyper: NASHyperModel, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> Any:
    """What ``model.fit`` is called with."""
    seen: dict[str, Any] = {}

    @functools.wraps(keras.Model.fit)
    def fit(_self: Any, *, x: Any, y: Any = None, **kwargs: Any) -> None:
        seen.update(kwargs, x=x, y=y)

    monkeypatch.setattr(keras.Model, "fit", fit)
    hp = keras_tuner.HyperParameters()
    genotype_from(hyper.space, hp)
    hyper.fit(hp, hyper.build(hp), **arguments)
    return seen


def test_a_hypermodel_augments(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = images()
    seen = fitted(hypermodel(crop=0.25, batch_size=4), monkeypatch, x=x, y=y)
    assert isinstance(seen["x"], AugmentedBatches)
    assert seen["y"] is None
    assert len(seen["x"]) == 6
    assert fitted(hypermodel(crop=0.0), monkeypatch, x=x, y=y)["x"] is x


@pytest.mark.slow
def test_keras_trains_on_what_changes() -> None:
    x, y = images()
    curves = []
    for augmentation in ({}, {"flip": True, "cutout": 0.5}):
        keras.utils.set_random_seed(0)
        hyper = hypermodel(**augmentation)
        hp = keras_tuner.HyperParameters()
        genotype_from(hyper.space, hp)
        history = hyper.fit(hp, hyper.build(hp), x=x, y=y, epochs=2, verbose=0)
        curves.append(history.history["loss"])
    assert np.isfinite(curves).all()
    assert curves[0] != curves[1]


def test_mistakes_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = images()
    with pytest.raises(NASError, match="change NumPy arrays of examples"):
        fitted(hypermodel(flip=True), monkeypatch, x=[x], y=y)
    with pytest.raises(NASError, match="do not go with validation_split"):
        fitted(hypermodel(flip=True), monkeypatch, x=x, y=y, validation_split=0.2)
    with pytest.raises(NASError, match="do not go with sample_weight"):
        fitted(hypermodel(flip=True), monkeypatch, x=x, y=y, sample_weight=np.ones(21))
    with pytest.raises(SpaceError, match="'mixup' would have no effect"):
        hypermodel(mixup=0.2)


def test_the_ready_decisions_are_what_it_applies() -> None:
    space = SearchSpace(
        "s",
        input_shape=(8, 8, 1),
        classes=3,
        body=[flatten()],
        training=training_decisions(images=True),
    )
    NASHyperModel(space)
