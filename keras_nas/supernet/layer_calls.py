"""How the layers of a supernet are computed: by Keras's calls, or quicker where a backend can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_nas._keras import keras
from optuna_nas.graph.operations import Attributes


class LayerCalls:
    """Keras's own calls, the same on every backend."""

    def layer(
        self, layer: Any, op: str, attributes: Attributes, inputs: Sequence[Any], training: bool
    ) -> Any:
        """The output of a Keras layer.

        Args:
            layer: Built.
            op: Its operation.
            attributes: Those of the operation.
            inputs: Tensors (batch, ...).
            training: Whether dropout drops.
        """
        return layer(inputs if len(inputs) > 1 else inputs[0], training=training)

    def normalized(self, x: Any, scale: Any, offset: Any, epsilon: float) -> tuple[Any, Any, Any]:
        """Batch normalisation by the statistics of the batch itself.

        Args:
            x: Tensor (batch, ..., channels).
            scale: Variable (channels,), or None for 1.
            offset: Variable (channels,), or None for 0.
            epsilon: Added to the variance.

        Returns:
            Outputs, and the batch's mean and variance, (channels,).
        """
        mean, variance = keras.ops.moments(x, tuple(range(len(x.shape) - 1)))
        return self.normalized_by(x, mean, variance, scale, offset, epsilon), mean, variance

    def normalized_by(
        self, x: Any, mean: Any, variance: Any, scale: Any, offset: Any, epsilon: float
    ) -> Any:
        """Batch normalisation by given statistics (Ioffe & Szegedy 2015, algorithm 1).

        Args:
            x: Tensor (batch, ..., channels).
            mean: Tensor (channels,).
            variance: Tensor (channels,).
            scale: Variable (channels,), or None for 1.
            offset: Variable (channels,), or None for 0.
            epsilon: Added to the variance.
        """
        return keras.ops.batch_normalization(
            x, mean, variance, axis=-1, offset=offset, scale=scale, epsilon=epsilon
        )


def layer_calls() -> LayerCalls:
    """The quickest calls that the backend in use has."""
    if keras.config.backend() == "tensorflow":
        from keras_nas.supernet._tensorflow import TensorFlowCalls

        return TensorFlowCalls()
    return LayerCalls()
