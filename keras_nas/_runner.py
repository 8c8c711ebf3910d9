"""What training needs of a backend, and the form of it that any Keras backend offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_nas._keras import keras

Logits = NDArray[Any]
"""Shape (examples, classes)."""


@dataclass(frozen=True)
class OptimizerSettings:
    """The optimiser: Adam, or gradient descent with Nesterov's momentum.

    Args:
        name: "adam" or "sgd".
        learning_rate: Of the first step.
        schedule: "cosine", which falls to zero at the end of the budget, or "constant".
        momentum: Of gradient descent.
        weight_decay: Decoupled (Loshchilov & Hutter 2019): a step shrinks weights by
            ``learning rate * weight_decay``. Biases and normalisations are left alone.
        label_smoothing: Share of each target spread evenly over all classes.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    momentum: float = 0.9
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    @property
    def slots(self) -> int:
        """Numbers kept for each weight."""
        return 2 if self.name == "adam" else int(self.momentum > 0)

    def learning_rates(self, steps: int) -> np.ndarray:
        """The learning rate of every step, as `keras.optimizers.schedules.CosineDecay` has it."""
        if self.schedule == "constant":
            return np.full(steps, self.learning_rate)
        return self.learning_rate * 0.5 * (1 + np.cos(np.pi * np.arange(steps) / steps))


class Runner(ABC):
    """Trains and evaluates one Keras model whose outputs are logits."""

    @abstractmethod
    def prepare(
        self,
        settings: OptimizerSettings,
        batch_size: int,
        total_steps: int,
        *,
        probabilities: bool = False,
    ) -> None:
        """Get ready to train; called once, before the first epoch.

        Args:
            settings: The optimiser.
            batch_size: Examples a step.
            total_steps: Steps of all epochs.
            probabilities: Whether labels are probabilities of all classes, instead of classes.
        """

    @abstractmethod
    def hold(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[Any, Any]:
        """Bring data into the form that `epoch` and `score` take.

        Args:
            x: Features, (examples, ...).
            y: Classes, (examples,), or for `epoch` their probabilities, (examples, classes).
        """

    @abstractmethod
    def epoch(self, x: Any, y: Any, batches: NDArray[Any]) -> tuple[float, float]:
        """Train on batches in order.

        Args:
            x: Held features.
            y: Held labels.
            batches: Indices of examples, (steps, batch size).

        Returns:
            Mean loss and accuracy on the way.
        """

    @abstractmethod
    def score(self, x: Any, y: Any, batch_size: int) -> tuple[float, float]:
        """Mean cross-entropy and accuracy over all examples."""

    @abstractmethod
    def predict(self, x: NDArray[Any], batch_size: int) -> Logits:
        """Logits of all examples."""


class KerasRunner(Runner):
    """Keras's own ``compile`` and ``fit``: slower to start, but the same on every backend."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._classes = int(model.output_shape[-1])

    def prepare(
        self,
        settings: OptimizerSettings,
        batch_size: int,
        total_steps: int,
        *,
        probabilities: bool = False,
    ) -> None:
        """Compile the model."""
        rate: Any = settings.learning_rate
        if settings.schedule == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(rate, total_steps)
        decay = settings.weight_decay or None
        if settings.name == "adam":
            optimizer = keras.optimizers.Adam(
                rate, settings.beta_1, settings.beta_2, settings.epsilon, weight_decay=decay
            )
        else:
            nesterov = settings.momentum > 0
            optimizer = keras.optimizers.SGD(
                rate, settings.momentum, nesterov=nesterov, weight_decay=decay
            )
        spared = [weight for weight in self._model.trainable_variables if len(weight.shape) < 2]
        if decay and spared:
            optimizer.exclude_from_weight_decay(var_list=spared)
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=settings.label_smoothing
        )
        self._model.compile(optimizer, loss, metrics=["accuracy"])

    def hold(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[Any, Any]:
        """Features and labels as they are."""
        return np.asarray(x, np.float32), np.asarray(y, np.int64 if np.ndim(y) == 1 else np.float32)

    def epoch(self, x: Any, y: Any, batches: NDArray[Any]) -> tuple[float, float]:
        """One epoch of ``fit`` in the order of ``batches``."""
        order = batches.ravel()
        history = self._model.fit(
            x[order],
            np.eye(self._classes, dtype=np.float32)[y[order]] if y.ndim == 1 else y[order],
            batch_size=batches.shape[1],
            shuffle=False,
            verbose=0,
        ).history
        return float(history["loss"][-1]), float(history["accuracy"][-1])

    def score(self, x: Any, y: Any, batch_size: int) -> tuple[float, float]:
        """From the logits of ``predict``."""
        logits = self.predict(x, batch_size).astype(np.float64)
        shifted = logits - logits.max(-1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(-1)) - shifted[np.arange(len(y)), y]
        return float(losses.mean()), float((logits.argmax(-1) == y).mean())

    def predict(self, x: NDArray[Any], batch_size: int) -> Logits:
        """Keras's ``predict``."""
        return np.asarray(self._model.predict(x, batch_size=batch_size, verbose=0))
