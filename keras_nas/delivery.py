"""From an architecture to files people use: trained once more, saved twice, and proved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_nas.data.dataset import Dataset
from keras_nas.isolation import Channel
from keras_nas.isolation.errors import describe
from optuna_nas.export import Preprocessing
from optuna_nas.graph import ArchitectureGraph

REGISTER = "layers of your own need the decorator keras.saving.register_keras_serializable()"

Model = Any
"""A `keras.Model`: Keras is imported by what runs in a worker process only."""


@dataclass(frozen=True)
class Delivery:
    """What a finalist became.

    Args:
        keras_file: Path of the Keras model.
        onnx_file: Path of the exported model; both take raw features and give probabilities.
        test_accuracy: Accuracy of the Keras model on the test rows, as loaded from its file.
        test_loss: Its mean cross-entropy there.
        proof: Comparison of the two files on every test row: ``max_abs_difference``,
            ``agreement`` (share of equal classes), ``images`` and ``reload_difference``, between
            the trained model and its own file.
        reload_error: Why the Keras file could not be loaded, for blocks that Keras can't save.
        seconds: Wall time of training, export and proof.
    """

    keras_file: str
    onnx_file: str
    test_accuracy: float
    test_loss: float
    proof: Mapping[str, Any]
    reload_error: str | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def deliver(
    channel: Channel, folder: str, graph_json: str, plan: Mapping[str, Any], stem: str
) -> Delivery:
    """Train on training and validation rows, save as ``.keras`` and ``.onnx``, test once.

    Args:
        channel: Gets an epoch's number after each epoch.
        folder: Where the data are.
        graph_json: The architecture.
        plan: Arguments of `keras_nas.training.train`.
        stem: Path of the files without their endings.
    """
    from keras_nas._keras import keras
    from keras_nas.build import build_model
    from keras_nas.export import export_onnx, prove
    from keras_nas.training import train

    started = time.perf_counter()
    data = Dataset.open(Path(folder))
    # The preprocessing stays the one the candidates were judged with.
    x = data.preprocessing.apply(np.concatenate([data.x_train, data.x_val]))
    y = np.concatenate([data.y_train, data.y_val])
    skipped = ("data_fraction", "patience")  # no rows are left to be patient about
    arguments = {name: value for name, value in plan.items() if name not in skipped}
    network = build_model(ArchitectureGraph.from_json(graph_json).pruned(), seed=plan["seed"])
    train(network, x, y, on_epoch_end=lambda epoch, _: channel.send(epoch), **arguments)
    model = complete(network, data.preprocessing)
    keras_file, onnx_file = f"{stem}.keras", f"{stem}.onnx"
    model.save(keras_file)
    export_onnx(network, onnx_file, preprocessing=data.preprocessing, softmax=True)
    x_test, y_test = np.asarray(data.x_test), np.asarray(data.y_test)
    trained = _probabilities(model, x_test)
    reload_error = None
    try:
        delivered = keras.models.load_model(keras_file)
    except Exception as error:  # Keras raises many kinds for what it can't load
        reason = describe(error)[0]
        delivered, reload_error = model, f"{reason} ({REGISTER})"
    proof = prove(delivered, onnx_file, x_test)
    probabilities = _probabilities(delivered, x_test)
    chosen = np.clip(probabilities[np.arange(len(y_test)), y_test], 1e-12, None)
    return Delivery(
        keras_file=keras_file,
        onnx_file=onnx_file,
        test_accuracy=float(np.mean(probabilities.argmax(axis=1) == y_test)),
        test_loss=float(-np.log(chosen).mean()),
        proof={
            **proof.to_dict(),
            "images": len(y_test),
            "reload_difference": float(np.abs(probabilities - trained).max()),
        },
        reload_error=reload_error,
        seconds=time.perf_counter() - started,
    )


def complete(network: Model, preprocessing: Preprocessing) -> Model:
    """Put preprocessing before a network and a softmax behind it, as plain Keras layers."""
    from keras_nas._keras import keras

    shape = network.input_shape[1:]
    if preprocessing.is_neutral:
        inputs = keras.Input(shape, dtype=network.inputs[0].dtype, name="features")
        outputs = keras.layers.Softmax(name="probabilities")(network(inputs))
        return keras.Model(inputs, outputs, name="classifier")
    mean = np.broadcast_to(preprocessing.mean, shape[-1:]).astype(float)
    scale = np.broadcast_to(preprocessing.scale, shape[-1:]).astype(float)
    inputs = keras.Input(shape, name="features")
    # Normalization alone would square the scale, and take deviations below 1e-7 for 1e-7.
    ones = np.ones_like(mean)
    centred = keras.layers.Normalization(mean=mean, variance=ones, name="centring")(inputs)
    scaled = keras.layers.Rescaling(scale.tolist(), name="scaling")(centred)
    outputs = keras.layers.Softmax(name="probabilities")(network(scaled))
    return keras.Model(inputs, outputs, name="classifier")


def _probabilities(model: Model, x: np.ndarray, batch: int = 256) -> np.ndarray:
    parts = [
        np.asarray(model(x[start : start + batch], training=False))
        for start in range(0, len(x), batch)
    ]
    return np.concatenate(parts)
