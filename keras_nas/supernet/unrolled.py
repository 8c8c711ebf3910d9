"""The second-order gradient of DARTS: what a step of the weights would make of the gates.

Written on lists of arrays of any kind, NumPy's or a backend's, and on two functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras_nas._keras import keras

Gradients = Callable[[Sequence[Any]], tuple[Sequence[Any], Any]]
"""``weights -> (gradient of a loss in each weight, its gradient in the gates)``."""

_STEP = 0.01  # of the finite difference, as a norm


def unrolled_gradient(
    train: Gradients,
    validation: Gradients,
    weights: Sequence[Any],
    velocity: Sequence[Any],
    *,
    rate: Any,
    momentum: float,
    weight_decay: float,
) -> Any:
    """Gradient in the gates of the validation loss after one more step of the weights.

    With w' = w - xi (momentum v + grad L_train(w) + decay w), the step that gradient descent with
    momentum is about to take (Liu et al. 2019, eq. 7 and 8)::

        dL_val(w', a)/da - xi (dL_train(w+, a)/da - dL_train(w-, a)/da) / (2 eps)
        w+- = w +- eps grad_w' L_val(w', a),    eps = 0.01 / ||grad_w' L_val(w', a)||

    Args:
        train: Of the training loss.
        validation: Of the validation loss.
        weights: Arrays of any shapes.
        velocity: Of the momentum, an array for each weight.
        rate: The learning rate, xi.
        momentum: Of gradient descent.
        weight_decay: Factor of the weights in their gradient.
    """
    gradients, _ = train(weights)
    ahead = [
        w - rate * (v * momentum + g + w * weight_decay)
        for w, v, g in zip(weights, velocity, gradients, strict=True)
    ]
    direction, direct = validation(ahead)
    norm = keras.ops.sqrt(sum(keras.ops.sum(keras.ops.square(d)) for d in direction))
    epsilon = _STEP / norm
    _, up = train([w + d * epsilon for w, d in zip(weights, direction, strict=True)])
    _, down = train([w - d * epsilon for w, d in zip(weights, direction, strict=True)])
    return direct - rate * (up - down) / (2 * epsilon)
