"""A Keras model's training and evaluation as TensorFlow functions made once for each model.

On small tasks a candidate costs mostly what happens before its first step. So: the update is one
fused operation a weight, Grappler's passes over the graph are left out on a processor, the step is
traced once for a fixed batch, and nothing outlives the model it was made for.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_nas._runner import Logits, OptimizerSettings, Runner
from keras_nas._tensorflow_layers import forward_of

_CHECK_EVERY = 64  # steps between looks for a loss that is no number
_lock = threading.Lock()
_quick_users = 0
_was_disabled = False


def configure_threads(threads: int) -> None:
    """Set TensorFlow's threads, which it allows before its first operation only."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


@contextmanager
def quick_compilation() -> Iterator[None]:
    """Grappler off for the functions called inside; on a GPU its layouts are worth their price."""
    global _quick_users, _was_disabled
    if tf.config.list_physical_devices("GPU"):
        yield
        return
    with _lock:
        if not _quick_users:
            options = tf.config.optimizer.get_experimental_options()
            _was_disabled = bool(options.get("disable_meta_optimizer", False))
            _disable_grappler(True)
        _quick_users += 1
    try:
        yield
    finally:
        with _lock:
            _quick_users -= 1
            if not _quick_users:
                _disable_grappler(_was_disabled)


def _disable_grappler(value: bool) -> None:
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": value})


class TensorFlowRunner(Runner):
    """Runs a Keras model on the TensorFlow backend.

    Args:
        model: Built; its output are logits of shape (batch, classes).
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._forward = forward_of(model)
        self._classes = int(model.output_shape[-1])
        self._shape = tuple(model.input_shape[1:])
        self._scorer: Any = None
        self._predictor: Any = None
        self._step: Any = None

    # --- training -----------------------------------------------------------------------------

    def prepare(
        self,
        settings: OptimizerSettings,
        batch_size: int,
        total_steps: int,
        *,
        probabilities: bool = False,
    ) -> None:
        """Trace the step for batches of ``batch_size``."""
        steps = np.arange(1, total_steps + 1)
        self._rates = np.stack(
            [
                settings.learning_rates(total_steps),
                settings.beta_1**steps,
                settings.beta_2**steps,
                # Moving statistics start as plain averages: from Keras's start at 0 and 1 a
                # validation after the first epochs of a small task sees nothing of the network.
                1 / steps,
            ],
            axis=1,
        ).astype(np.float32)
        self._steps_done = 0
        weights = [weight.value for weight in self._model.trainable_variables]
        slots = [
            [tf.Variable(np.zeros(weight.shape, "float32"), trainable=False) for weight in weights]
            for _ in range(settings.slots)
        ]

        def step(x: Any, y: Any, chosen: Any, rates: Any, totals: Any) -> Any:
            images = tf.ensure_shape(tf.gather(x, chosen), (batch_size, *self._shape))
            labels = tf.gather(y, chosen)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                logits, own_losses = self._forward(images, rates[3])
                loss = tf.reduce_mean(self._losses(labels, logits, settings.label_smoothing))
                if own_losses:
                    loss += tf.add_n(own_losses)
            gradients = tape.gradient(loss, weights)
            _update(settings, weights, slots, gradients, tf.unstack(rates[:3]))
            known = tf.argmax(labels, -1) if probabilities else labels
            correct = tf.reduce_sum(tf.cast(tf.argmax(logits, -1) == known, tf.float32))
            return totals + tf.stack([loss * batch_size, correct])

        with quick_compilation():
            self._step = tf.function(step, autograph=False).get_concrete_function(
                tf.TensorSpec((None, *self._shape), tf.float32),
                tf.TensorSpec((None, self._classes), tf.float32)
                if probabilities
                else tf.TensorSpec((None,), tf.int64),
                tf.TensorSpec((batch_size,), tf.int64),
                tf.TensorSpec((4,), tf.float32),
                tf.TensorSpec((2,), tf.float32),
            )

    def epoch(self, x: Any, y: Any, batches: NDArray[Any]) -> tuple[float, float]:
        """Train on the rows of ``batches``; mean loss and accuracy on the way."""
        rates = self._rates[self._steps_done :]
        totals = tf.zeros(2)
        with quick_compilation():
            pairs = zip(batches, rates[: len(batches)], strict=True)
            for number, (chosen, row) in enumerate(pairs, start=1):
                totals = self._step(x, y, tf.constant(chosen), tf.constant(row), totals)
                if number % _CHECK_EVERY == 0 and not math.isfinite(float(totals[0])):
                    break
        self._steps_done += len(batches)
        loss, correct = totals.numpy() / batches.size
        return float(loss), float(correct)

    def _losses(self, labels: Any, logits: Any, smoothing: float) -> Any:
        if len(labels.shape) == 1:
            if not smoothing:
                return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            labels = tf.one_hot(labels, self._classes)
        targets = labels * (1 - smoothing) + smoothing / self._classes
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    # --- evaluation ---------------------------------------------------------------------------

    def hold(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[Any, Any]:
        """Copy data to the device."""
        labels = np.asarray(y, np.int64 if np.ndim(y) == 1 else np.float32)
        return tf.constant(np.asarray(x, np.float32)), tf.constant(labels)

    def score(self, x: Any, y: Any, batch_size: int) -> tuple[float, float]:
        """Mean cross-entropy and accuracy over all examples."""
        if self._scorer is None:

            def score(x: Any, y: Any, first: Any, last: Any) -> Any:
                images = tf.ensure_shape(x[first:last], (None, *self._shape))
                labels = y[first:last]
                logits = self._forward(images, None)[0]
                losses = self._losses(labels, logits, 0.0)
                hits = tf.cast(tf.argmax(logits, -1) == labels, tf.float32)
                return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(hits)])

            self._scorer = self._compiled(score, tf.TensorSpec((None,), tf.int64))
        totals = np.zeros(2)
        with quick_compilation():
            for first, last in _slices(len(x), batch_size):
                totals += self._scorer(x, y, first, last).numpy()
        loss, accuracy = totals / len(x)
        return float(loss), float(accuracy)

    def predict(self, x: NDArray[Any], batch_size: int) -> Logits:
        """Logits of all examples."""
        if self._predictor is None:

            def predict(x: Any, first: Any, last: Any) -> Any:
                images = tf.ensure_shape(x[first:last], (None, *self._shape))
                return self._forward(images, None)[0]

            self._predictor = self._compiled(predict)
        held = tf.constant(np.asarray(x, np.float32))
        with quick_compilation():
            parts = [
                self._predictor(held, first, last).numpy()
                for first, last in _slices(len(x), batch_size)
            ]
        return np.concatenate(parts)

    def _compiled(self, function: Any, *further: Any) -> Any:
        position = tf.TensorSpec((), tf.int32)
        with quick_compilation():
            return tf.function(function, autograph=False).get_concrete_function(
                tf.TensorSpec((None, *self._shape), tf.float32), *further, position, position
            )


def _slices(count: int, size: int) -> list[tuple[Any, Any]]:
    return [
        (tf.constant(first), tf.constant(min(first + size, count)))
        for first in range(0, count, size)
    ]


def _update(
    settings: OptimizerSettings,
    weights: list[Any],
    slots: list[list[Any]],
    gradients: list[Any],
    rates: list[Any],
) -> None:
    """One fused update a weight; weights that no gradient reaches stay as they are."""
    rate, beta_1_power, beta_2_power = rates
    # Shared by all weights: operations are what tracing costs.
    beta_1, beta_2 = tf.constant(settings.beta_1), tf.constant(settings.beta_2)
    epsilon, momentum = tf.constant(settings.epsilon), tf.constant(settings.momentum)
    decay = rate * settings.weight_decay if settings.weight_decay else None
    for number, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
        if gradient is None:
            continue
        gradient = tf.convert_to_tensor(gradient)  # rows of an embedding come apart
        if decay is not None and len(weight.shape) > 1:
            weight.assign_sub(weight * decay, read_value=False)
        own = [slot[number].handle for slot in slots]
        if settings.name == "adam":
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=own[0],
                v=own[1],
                beta1_power=beta_1_power,
                beta2_power=beta_2_power,
                lr=rate,
                beta1=beta_1,
                beta2=beta_2,
                epsilon=epsilon,
                grad=gradient,
            )
        elif settings.momentum:
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=weight.handle,
                accum=own[0],
                lr=rate,
                grad=gradient,
                momentum=momentum,
                use_nesterov=True,
            )
        else:
            tf.raw_ops.ResourceApplyGradientDescent(var=weight.handle, alpha=rate, delta=gradient)
