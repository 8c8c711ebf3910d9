"""A supernet's steps and gradients as TensorFlow functions, each traced once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_nas._tensorflow import quick_compilation
from keras_nas._tensorflow_layers import direct_call
from keras_nas.supernet.layer_calls import LayerCalls
from keras_nas.supernet.network import SuperNetwork
from keras_nas.supernet.steps import Batch, Descent, Score, Steps
from keras_nas.supernet.unrolled import unrolled_gradient
from optuna_nas.graph.operations import Attributes


class TensorFlowCalls(LayerCalls):
    """TensorFlow's operations in place of Keras's machinery, where there is a rule."""

    def layer(
        self, layer: Any, op: str, attributes: Attributes, inputs: Sequence[Any], training: bool
    ) -> Any:
        """The output of a Keras layer."""
        output = direct_call(layer, op, attributes, inputs)
        return super().layer(layer, op, attributes, inputs, training) if output is None else output

    def normalized(self, x: Any, scale: Any, offset: Any, epsilon: float) -> tuple[Any, Any, Any]:
        """Batch normalisation by the statistics of the batch, in one fused operation."""
        unread = tf.constant([])
        outputs, mean, variance = _fused(x, unread, unread, scale, offset, epsilon, batch=True)
        # The fused operation gives the variance of a sample, not that of the batch.
        count = tf.cast(tf.size(x) // x.shape[-1], tf.float32)
        return outputs, mean, variance * (count - 1) / count

    def normalized_by(
        self, x: Any, mean: Any, variance: Any, scale: Any, offset: Any, epsilon: float
    ) -> Any:
        """Batch normalisation by given statistics, in one fused operation."""
        return _fused(x, mean, variance, scale, offset, epsilon, batch=False)[0]


def _fused(
    x: Any, mean: Any, variance: Any, scale: Any, offset: Any, epsilon: float, *, batch: bool
) -> tuple[Any, Any, Any]:
    channels = x.shape[-1]
    images = x if len(x.shape) == 4 else tf.reshape(x, (-1, 1, 1, channels))
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images,
        scale=tf.ones(channels) if scale is None else scale.value,
        offset=tf.zeros(channels) if offset is None else offset.value,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=batch,
    )
    return (outputs if images is x else tf.reshape(outputs, tf.shape(x))), mean, variance


class TensorFlowSteps(Steps):
    """Steps on the TensorFlow backend."""

    def __init__(self, network: SuperNetwork, descent: Descent) -> None:
        super().__init__(network, descent)
        self._weights = [variable.value for variable in network.trainable_variables]
        self._velocity = [tf.Variable(tf.zeros_like(w), trainable=False) for w in self._weights]
        self._functions: dict[object, Any] = {}

    def train(
        self, batch: Batch, gates: NDArray[Any], rate: float, *, hard: bool, auxiliary: float | None
    ) -> Score:
        """One step of the weights."""

        function = self._gradients(hard, auxiliary is not None, weights=True)
        tensors = _tensors(*batch)
        with quick_compilation():
            results = [function(*tensors, *_tensors(one, auxiliary)) for one in gates]
            # Not one function for all: it would hold the whole network once for each set.
            self._function("descend", self._descend)(
                [
                    parts[0] if len(parts) == 1 else tf.add_n(parts)
                    for parts in zip(*(gradients for _, gradients, _ in results), strict=True)
                ],
                tf.constant(rate, tf.float32),
            )
        return _score(tf.add_n([score for score, *_ in results]) / len(results))

    def _descend(self, gradients: list[Any], rate: Any) -> None:
        gradients, _ = tf.clip_by_global_norm(gradients, self._descent.clip_norm)
        momentum = tf.constant(self._descent.momentum)
        for weight, velocity, gradient in zip(
            self._weights, self._velocity, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyMomentum(
                var=weight.handle,
                accum=velocity.handle,
                lr=rate,
                grad=gradient + weight * self._descent.weight_decay,
                momentum=momentum,
            )

    def gate_gradient(
        self, batch: Batch, gates: NDArray[Any], *, hard: bool, auxiliary: float | None
    ) -> tuple[Score, NDArray[np.float64]]:
        """The loss and its gradient in the gates."""
        function = self._gradients(hard, auxiliary is not None, weights=False)
        with quick_compilation():
            score, _, gradient = function(*_tensors(*batch, gates, auxiliary))
        return _score(score), np.asarray(gradient, np.float64)

    def unrolled_gate_gradient(
        self,
        train: Batch,
        validation: Batch,
        gates: NDArray[Any],
        rate: float,
        *,
        hard: bool,
        auxiliary: float | None,
    ) -> tuple[Score, NDArray[np.float64]]:
        """The validation loss after a step of the weights, and its second-order gradient."""

        def unroll(
            x: Any, y: Any, x_val: Any, y_val: Any, gates: Any, extra: Any, rate: Any
        ) -> Any:
            function = self._gradients(hard, extra is not None, weights=True)
            scores: list[Any] = []

            def gradients(x: Any, y: Any) -> Callable[[Sequence[Any]], tuple[list[Any], Any]]:
                def at(values: Sequence[Any]) -> tuple[list[Any], Any]:
                    for weight, value in zip(self._weights, values, strict=True):
                        weight.assign(value, read_value=False)
                    score, of_weights, of_gates = function(x, y, gates, extra)
                    scores.append(score)
                    return of_weights, of_gates

                return at

            start = [tf.identity(weight) for weight in self._weights]
            gradient = unrolled_gradient(
                gradients(x, y),
                gradients(x_val, y_val),
                start,
                self._velocity,
                rate=rate,
                momentum=self._descent.momentum,
                weight_decay=self._descent.weight_decay,
            )
            for weight, value in zip(self._weights, start, strict=True):
                weight.assign(value, read_value=False)
            return scores[1], gradient

        key = ("unroll", hard, auxiliary is not None)
        score, gradient = self._call(key, unroll, *train, *validation, gates, auxiliary, rate)
        return _score(score), np.asarray(gradient, np.float64)

    def score(self, batch: Batch, gates: NDArray[Any], *, auxiliary: float | None) -> Score:
        """Of the mixture weighed by gates."""

        def score(x: Any, y: Any, gates: Any, auxiliary: Any) -> Any:
            logits = self._network.soft(x, gates, training=False, auxiliary=auxiliary)
            return _loss_and_accuracy(y, logits)

        return _score(self._call(("score", auxiliary is not None), score, *batch, gates, auxiliary))

    @property
    def velocity(self) -> list[NDArray[Any]]:
        """Of the momentum, an array for each weight."""
        return [velocity.numpy() for velocity in self._velocity]

    @velocity.setter
    def velocity(self, arrays: list[NDArray[Any]]) -> None:
        for velocity, array in zip(self._velocity, arrays, strict=True):
            velocity.assign(array)

    def _gradients(self, hard: bool, auxiliary: bool, *, weights: bool) -> Any:
        """``(x, y, gates, auxiliary) -> (score, gradients in weights if asked for, in gates)``.

        A function of its own within those that call it several times, and so traced once.
        """

        def gradients(x: Any, y: Any, gates: Any, auxiliary: Any) -> Any:
            sources = [*self._weights, gates] if weights else [gates]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                if hard:
                    logits = self._network.hard(x, gates)
                else:
                    logits = self._network.soft(x, gates, auxiliary=auxiliary)
                score = _loss_and_accuracy(y, logits)
                loss = score[0]
            found = tape.gradient(loss, sources, unconnected_gradients="zero")
            # Rows of an embedding come apart.
            *of_weights, of_gates = [tf.convert_to_tensor(gradient) for gradient in found]
            return score, of_weights, of_gates

        return self._function(("gradients", hard, auxiliary, weights), gradients)

    def _function(self, key: object, function: Callable[..., Any]) -> Any:
        if key not in self._functions:
            self._functions[key] = tf.function(function, autograph=False, reduce_retracing=True)
        return self._functions[key]

    def _call(self, key: object, function: Callable[..., Any], *values: Any) -> Any:
        with quick_compilation():
            return self._function(key, function)(*_tensors(*values))


def _tensors(*values: Any) -> list[Any]:
    """Tensors, classes as integers and all else as float32, so that nothing is traced again."""
    return [
        None
        if value is None
        else tf.constant(
            np.asarray(value),
            tf.int64 if np.issubdtype(np.asarray(value).dtype, np.integer) else tf.float32,
        )
        for value in values
    ]


def _loss_and_accuracy(labels: Any, logits: Any) -> Any:
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    hits = tf.cast(tf.argmax(logits, -1) == labels, tf.float32)
    return tf.stack([tf.reduce_mean(losses), tf.reduce_mean(hits)])


def _score(values: Any) -> Score:
    loss, accuracy = values.numpy()
    return float(loss), float(accuracy)
