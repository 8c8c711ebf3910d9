"""Augmented examples for Keras's own ``fit``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_nas._keras import keras
from keras_nas.augmentation import Augmentation


class AugmentedBatches(keras.utils.PyDataset):
    """Batches of examples that are augmented anew, and in a new order, each epoch.

    Args:
        x: Features, (examples, ...).
        y: Their labels, (examples, ...).
        batch_size: Examples of a batch; the last one may have fewer.
        augmentation: What is changed; without mixup, which would change labels, too.
        seed: Of the order and the changes.
    """

    def __init__(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        batch_size: int,
        augmentation: Augmentation,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        augmentation.check(x)
        self._source = x, y
        self._size = batch_size
        self._augmentation = augmentation
        self._rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self._x) / self._size)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        rows = slice(index * self._size, (index + 1) * self._size)
        return self._x[rows], self._y[rows]

    def on_epoch_end(self) -> None:
        """Draw the examples of the next epoch; Keras calls this."""
        x, y = self._source
        order = self._rng.permutation(len(x))
        self._x, self._y = self._augmentation.images(x[order], self._rng), y[order]
