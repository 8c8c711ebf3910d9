"""Augmentation: what changes, what stays, and that training takes it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_nas import build_model, evaluate, train
from keras_nas._runner import KerasRunner, OptimizerSettings
from keras_nas._tensorflow import TensorFlowRunner
from keras_nas.augmentation import Augmentation
from keras_nas.candidates import TrainingPlan
from optuna_nas.errors import DataError, SpaceError
from optuna_nas.graph import GraphBuilder
from optuna_nas.spaces import chain_cnn, training_decisions


def pictures(count: int = 40) -> np.ndarray:
    """Images of 8x6 pixels, each of a value of its own and none 0."""
    values = 1.0 + np.arange(8 * 6, dtype=np.float32).reshape(1, 8, 6, 1)
    return np.repeat(values, count, axis=0) + 100 * np.arange(count).reshape(-1, 1, 1, 1)


def test_flips_mirror_about_half_of_the_images() -> None:
    x = pictures(200)
    changed = Augmentation(flip=True).images(x, np.random.default_rng(0))
    mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(changed, x, strict=True)])
    same = np.array([np.array_equal(a, b) for a, b in zip(changed, x, strict=True)])
    assert (mirrored ^ same).all()
    assert 70 < mirrored.sum() < 130


def test_crops_move_images_both_ways() -> None:
    x = pictures(300)
    changed = Augmentation(crop=0.25).images(x, np.random.default_rng(0))
    found = set()
    for image, original in zip(changed, x, strict=True):
        rows, columns = np.nonzero(image[..., 0])
        top, left = rows.min(), columns.min()
        value = image[top, left, 0]
        row, column = np.argwhere(original[..., 0] == value)[0]
        found.add((int(row - top), int(column - left)))
        part = original[row : row + np.ptp(rows) + 1, column : column + np.ptp(columns) + 1]
        assert np.array_equal(image[rows.min() : rows.max() + 1, left : columns.max() + 1], part)
    # Of 8x6 pixels, a quarter is two each way (1.5, rounded to even).
    assert found == {(a, b) for a in range(-2, 3) for b in range(-2, 3)}


def test_cutout_sets_one_square_to_zero() -> None:
    x = pictures(200)
    changed = Augmentation(cutout=0.5).images(x, np.random.default_rng(0))
    for image, original in zip(changed, x, strict=True):
        rows, columns, _ = np.nonzero(image == 0)
        assert 1 <= np.ptp(rows) + 1 <= 4
        assert 1 <= np.ptp(columns) + 1 <= 3
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert np.array_equal(image[image != 0], original[image != 0])
    assert not np.array_equal(changed, x)


@given(seed=st.integers(0, 2**32 - 1), alpha=st.floats(0.05, 5.0))
def test_mixup_mixes_examples_as_their_targets(seed: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, 20)
    # Features that are the targets must be mixed like them.
    targets = np.eye(3, dtype=np.float32)[classes]
    x, mixed = Augmentation(mixup=alpha).mixed(targets, targets, rng)
    np.testing.assert_array_equal(x, mixed)
    np.testing.assert_allclose(mixed.sum(-1), 1, rtol=1e-5)


def test_nothing_is_changed_in_place() -> None:
    x = pictures()
    before = x.copy()
    Augmentation(flip=True, crop=0.5, cutout=0.5).images(x, np.random.default_rng(0))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("settings", [OptimizerSettings(), OptimizerSettings(label_smoothing=0.1)])
def test_steps_on_probabilities_equal_keras(settings: OptimizerSettings) -> None:
    builder = GraphBuilder((4,))
    graph = builder.graph(builder.add("dense", {"units": 3}, ["input"]))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 4)).astype(np.float32)
    y = rng.dirichlet(np.ones(3), 12).astype(np.float32)
    batches = np.arange(12).reshape(3, 4)
    results = []
    for make in (TensorFlowRunner, KerasRunner):
        model = build_model(graph, seed=0)
        runner: Any = make(model)
        runner.prepare(settings, 4, 3, probabilities=True)
        loss, _ = runner.epoch(*runner.hold(x, y), batches)
        results.append((loss, *(weight.flatten() for weight in model.get_weights())))
    for ours, kerass in zip(*results, strict=True):
        np.testing.assert_allclose(ours, kerass, rtol=1e-4, atol=1e-5)


def test_a_network_learns_from_augmented_images() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 96)
    x = (rng.normal(size=(96, 6, 6, 1)) + 2 * y.reshape(-1, 1, 1, 1) - 1).astype(np.float32)
    builder = GraphBuilder((6, 6, 1))
    pooled = builder.add("global_average_pooling2d", {}, ["input"])
    graph = builder.graph(builder.add("dense", {"units": 2}, [pooled]))
    curves = []
    for _ in range(2):
        model = build_model(graph, seed=0)
        result = train(
            model, x, y, epochs=4, batch_size=32, learning_rate=0.1, seed=0,
            flip=True, crop=0.125, cutout=0.25, mixup=0.2,
        )  # fmt: skip
        curves.append(result.curve)
    assert curves[0] == curves[1]
    assert evaluate(model, x, y)[1] > 0.9


def test_augmentation_changes_the_training() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 4, 4, 1)).astype(np.float32), rng.integers(0, 2, 32)
    inputs = keras.Input((4, 4, 1))
    curves = []
    for extra in ({}, {"flip": True}, {"crop": 0.5}, {"cutout": 0.5}, {"mixup": 1.0}):
        flat = keras.layers.Flatten()(inputs)
        model = keras.Model(inputs, keras.layers.Dense(2, kernel_initializer="zeros")(flat))
        curves.append(train(model, x, y, epochs=2, seed=0, **extra).curve["loss"][-1])
    assert len(set(curves)) == len(curves)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"crop": 1.5}, "crop must be from 0 to 1"), ({"mixup": -1.0}, "mixup must be 0 or more")],
)
def test_senseless_options(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augmentation(**arguments)


def test_only_images_are_moved() -> None:
    with pytest.raises(DataError, match="flip, crop and cutout are for images"):
        Augmentation(cutout=0.5).check(np.zeros((3, 4)))
    Augmentation(mixup=0.5).check(np.zeros((3, 4)))


def test_the_ready_decisions_are_what_training_takes() -> None:
    space = chain_cnn(training=training_decisions(images=True, mixup=(0.0, 0.2)))
    rng = np.random.default_rng(0)
    seen: set[str] = set()
    for _ in range(30):
        decided = space.training(space.sample(rng))
        seen |= set(decided)
        low, high = {"adam": (3e-4, 3e-2), "sgd": (3e-3, 3e-1)}[str(decided["optimizer"])]
        assert low <= decided["learning_rate"] <= high
    assert seen == {
        "optimizer", "learning_rate", "weight_decay", "batch_size", "label_smoothing",
        "flip", "crop", "cutout", "mixup",
    }  # fmt: skip
    job = TrainingPlan(epochs=1).override(decided).to_job()
    x = rng.normal(size=(16, 8, 8, 1)).astype(np.float32)
    model = build_model(space.graph(space.sample(rng)))
    job.pop("data_fraction")
    assert train(model, x, np.arange(16) % 10, **job).epochs_run == 1


def test_decisions_may_be_left_out() -> None:
    nodes = training_decisions(
        optimizers={"sgd": (0.1, 0.1)},
        weight_decay=None,
        batch_sizes=(8,),
        label_smoothing=(0.0,),
    )
    space = chain_cnn(stages=1, max_blocks=1, training=nodes)
    assert space.size == chain_cnn(stages=1, max_blocks=1).size
    with pytest.raises(SpaceError, match="optimizers are adam and sgd, got 'lion'"):
        training_decisions(optimizers=("lion",))
