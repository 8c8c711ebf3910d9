"""The data sets Keras knows by name, which it downloads once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from keras_nas.data.source import Source
from keras_nas.isolation import Channel, JobError, Worker
from optuna_nas.errors import DataError

KERAS_SETS = ("mnist", "fashion_mnist", "cifar10", "cifar100")


def read_keras_set(name: str) -> Source:
    """Read one of `KERAS_SETS`, downloading it where Keras has not done so before.

    Raises:
        DataError: The download failed.
    """
    with tempfile.TemporaryDirectory(prefix="keras_nas_") as folder:
        # Keras brings its backend along; the process that directs a search stays light.
        with Worker() as worker:
            try:
                worker.run(_fetch, name, folder)
            except JobError as error:
                raise DataError(
                    f"{name} could not be downloaded ({error.reason}); check the connection, or "
                    "save it elsewhere as an .npz with x_train, y_train, x_test and y_test",
                    name,
                ) from error
        arrays = {key: np.load(Path(folder) / f"{key}.npy") for key in ("x", "y", "xt", "yt")}
    return Source(
        name=name,
        x=arrays["x"],
        y=arrays["y"],
        x_test=arrays["xt"],
        y_test=arrays["yt"],
        names=("x_train", "y_train", "x_test", "y_test"),
    )


def _fetch(_channel: Channel, name: str, folder: str) -> None:
    from keras_nas._keras import keras

    (x, y), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    for key, array in {"x": x, "y": y, "xt": x_test, "yt": y_test}.items():
        np.save(Path(folder) / f"{key}.npy", array)
