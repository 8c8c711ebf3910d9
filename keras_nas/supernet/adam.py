"""Adam on NumPy arrays, for the few numbers that weigh a space's alternatives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float64]]


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) with L2 weight decay, as DARTS trains its alphas.

    Args:
        learning_rate: Of every step.
        betas: Decay of the averages of the gradient and of its square.
        weight_decay: Factor of the parameters in their gradient.
    """

    EPSILON = 1e-8

    def __init__(
        self,
        learning_rate: float = 3e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
    ) -> None:
        self.learning_rate = learning_rate
        self.betas = betas
        self.weight_decay = weight_decay
        self.steps = 0
        self.means: Arrays = {}
        self.squares: Arrays = {}

    def step(self, parameters: Arrays, gradients: Mapping[str, NDArray[np.float64]]) -> Arrays:
        """Parameters after a step; those without a gradient stay as they are."""
        self.steps += 1
        first, second = self.betas
        moved = dict(parameters)
        for name, gradient in gradients.items():
            zeros = np.zeros_like(parameters[name])
            gradient = gradient + self.weight_decay * parameters[name]
            mean = first * self.means.get(name, zeros) + (1 - first) * gradient
            square = second * self.squares.get(name, zeros) + (1 - second) * gradient**2
            self.means[name], self.squares[name] = mean, square
            mean, square = mean / (1 - first**self.steps), square / (1 - second**self.steps)
            moved[name] = parameters[name] - self.learning_rate * mean / (
                np.sqrt(square) + self.EPSILON
            )
        return moved
