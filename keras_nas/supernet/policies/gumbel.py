"""GDAS: one path drawn by the Gumbel trick, with the gradient of its relaxation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from keras_nas.supernet.policies.learned import LearnedPolicy, Pullback, pull_softmax
from keras_nas.supernet.policies.policy import Array
from optuna_nas.errors import SupernetError


@dataclass(frozen=True)
class GumbelPolicy(LearnedPolicy):
    """Hard straight-through Gumbel-softmax (Dong & Yang 2019).

    Args:
        start: Temperature at the start of the search.
        end: Temperature at its end, reached in a straight line.

    Raises:
        SupernetError: A temperature is not above 0.
    """

    start: float = 10.0
    end: float = 0.1
    hard = True

    def __post_init__(self) -> None:
        if not (self.start > 0 and self.end > 0):
            raise SupernetError(
                "GumbelPolicy: expected temperatures above 0, "
                f"got start={self.start}, end={self.end}.",
                (self.start, self.end),
            )

    def relax(
        self, alpha: Array, progress: float, rng: np.random.Generator
    ) -> tuple[Array, Pullback]:
        temperature = self.start + (self.end - self.start) * progress
        noisy = alpha + rng.gumbel(size=alpha.size)
        # log softmax(alpha) in place of alpha would only shift the exponents.
        shares = softmax(noisy / temperature)
        gate = np.eye(alpha.size)[noisy.argmax()]
        # Forward the one-hot vector, backward as if it had been its relaxation.
        return gate, lambda gradient: pull_softmax(shares, gradient) / temperature
