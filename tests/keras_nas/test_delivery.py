"""A delivered model takes raw features, gives probabilities, and is proved against its export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from keras_nas import build_model, register_block
from keras_nas._keras import keras
from keras_nas.data import Dataset, load
from keras_nas.delivery import complete, deliver
from keras_nas.isolation import LocalChannel
from optuna_nas.export import Preprocessing
from optuna_nas.graph import ArchitectureGraph, operations
from optuna_nas.space import SearchSpace, conv, dense, global_average_pooling, layer

# Keras hands TensorFlow variables to NumPy in a way NumPy 2 finds old.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PLAN = {"epochs": 2, "batch_size": 64, "learning_rate": 3e-3, "seed": 0, "patience": 3}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def graph_of(data: Dataset, *body: object) -> ArchitectureGraph:
    space = SearchSpace(
        "fixed", input_shape=data.input_shape, classes=data.classes, body=list(body)
    )
    return space.graph(space.sample(np.random.default_rng(0)))


def test_complete_is_preprocessing_network_and_softmax(digits: Dataset) -> None:
    graph = graph_of(digits, conv(filters=4, kernel=3), global_average_pooling())
    network = build_model(graph, seed=0)
    model = complete(network, digits.preprocessing)
    x = digits.x_test[:20]
    logits = np.asarray(network(digits.preprocessing.apply(x)))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(model(x)), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "wine"])
def test_deliver(name: str, tmp_path: Path) -> None:
    data = load(name)
    data.save(tmp_path)
    body = (
        [conv(filters=8, kernel=3), global_average_pooling()]
        if len(data.input_shape) == 3
        else [dense(16)]
    )
    epochs: list[int] = []
    channel = LocalChannel(epochs.append)
    graph = graph_of(data, *body).to_json()
    delivery = deliver(channel, str(tmp_path), graph, PLAN, str(tmp_path / "m"))
    assert epochs == [1, 2]
    assert delivery.reload_error is None
    assert delivery.proof["passed"]
    assert delivery.proof["images"] == len(data.y_test)
    assert delivery.proof["reload_difference"] < 1e-6
    loaded = keras.models.load_model(delivery.keras_file)
    session = onnxruntime.InferenceSession(delivery.onnx_file)
    (onnx_output,) = session.run(None, {session.get_inputs()[0].name: data.x_test})
    keras_output = np.asarray(loaded(data.x_test))
    np.testing.assert_allclose(onnx_output, keras_output, atol=1e-4)
    accuracy = np.mean(keras_output.argmax(axis=1) == data.y_test)
    assert delivery.test_accuracy == pytest.approx(float(accuracy))
    chosen = keras_output[np.arange(len(data.y_test)), data.y_test]
    assert delivery.test_loss == pytest.approx(float(-np.log(chosen).mean()), rel=1e-3)


@pytest.fixture
def unregistered_layer() -> Iterator[str]:
    """A block whose Keras layer Keras can't load again by itself."""

    class Scaled(keras.layers.Layer):
        def call(self, x: object) -> object:
            return x * 2.0  # type: ignore[operator]

    name = "scaled_of_tests"
    register_block(name, lambda: Scaled())
    yield name
    from keras_nas.blocks.registry import _OWN

    _OWN.pop(name)
    operations._OPERATIONS.pop(name)


@pytest.mark.slow
def test_a_model_that_keras_cannot_load_is_still_delivered(
    unregistered_layer: str, tmp_path: Path
) -> None:
    data = load("wine")
    data.save(tmp_path)
    graph = graph_of(data, dense(8), layer(unregistered_layer)).to_json()
    delivery = deliver(LocalChannel(), str(tmp_path), graph, PLAN, str(tmp_path / "m"))
    assert delivery.reload_error is not None
    assert "register_keras_serializable" in delivery.reload_error
    assert delivery.proof["passed"]


def test_complete_takes_features_of_any_size() -> None:
    space = SearchSpace("fixed", input_shape=(2,), classes=2, body=[dense(4)])
    network = build_model(space.graph(space.sample(np.random.default_rng(0))), seed=0)
    x = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    scale = np.array([1e12, 1e-30])
    model = complete(network, Preprocessing(np.zeros(2), scale))
    expected = complete(network, Preprocessing(np.zeros(2), np.ones(2)))(x)
    np.testing.assert_allclose(model((x / scale).astype(np.float32)), expected, atol=1e-6)
    again = keras.Model.from_config(model.get_config())
    assert again.count_params() == model.count_params()
