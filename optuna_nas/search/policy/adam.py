"""The optimiser of policies."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from optuna_nas.search.policy.policies import Array, Parameters


@dataclass(frozen=True)
class Moments:
    """Adam's memory: what it knows of the gradients so far.

    Attributes:
        first: Moving mean of the gradients.
        second: Moving mean of their squares.
        steps: How many there were.
    """

    first: Parameters = field(default_factory=dict)
    second: Parameters = field(default_factory=dict)
    steps: int = 0


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) of clipped gradients.

    Attributes:
        learning_rate: Step size.
        clip: Gradients of a larger norm are shortened to it.
        first_decay: beta 1.
        second_decay: beta 2.
    """

    learning_rate: float
    clip: float = 5.0
    first_decay: float = 0.9
    second_decay: float = 0.999

    def step(
        self, parameters: Parameters, gradient: Parameters, moments: Moments
    ) -> tuple[Parameters, Moments]:
        """New parameters and moments; the old ones stay as they are.

        Parameters may have got more rows since the moments were made; those start at 0.
        """
        norm = math.sqrt(sum(float(np.vdot(g, g)) for g in gradient.values()))
        shrink = min(1.0, self.clip / norm) if norm > 0 else 1.0
        steps = moments.steps + 1
        b1, b2 = self.first_decay, self.second_decay
        rate = self.learning_rate * math.sqrt(1 - b2**steps) / (1 - b1**steps)
        moved: Parameters = {}
        first: Parameters = {}
        second: Parameters = {}
        for name, parameter in parameters.items():
            g = gradient[name] * shrink
            first[name] = b1 * _rows(moments.first.get(name), parameter) + (1 - b1) * g
            second[name] = b2 * _rows(moments.second.get(name), parameter) + (1 - b2) * g * g
            moved[name] = parameter - rate * first[name] / (np.sqrt(second[name]) + 1e-8)
        return moved, Moments(first, second, steps)


def _rows(old: Array | None, like: Array) -> Array:
    """`old` with rows of zeros behind it, to the shape of `like`."""
    if old is not None and old.shape == like.shape:
        return old
    new = np.zeros_like(like)
    if old is not None:
        new[: len(old)] = old
    return new
