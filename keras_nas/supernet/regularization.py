"""Losses on the alphas that keep a search from collapsing, and the skip that helps training.

A loss is called with the alphas and the share of the search that is over, and gives its value and
its gradient by decision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scipy.special import entr, logsumexp, softmax

from keras_nas.supernet.policies import Alphas
from keras_nas.supernet.policies.policy import Array

AlphaLoss = Callable[[Alphas, float], tuple[float, dict[str, Array]]]


@dataclass(frozen=True)
class BetaDecay:
    """beta-DARTS (Ye et al. 2022): the mean over decisions of logsumexp(alpha).

    It holds the largest alphas back, those that run away with the search.

    Args:
        weight: At the end of the search; grows from 0 in a straight line. The paper's 50.
    """

    weight: float = 50.0

    def __call__(self, alphas: Alphas, progress: float) -> tuple[float, dict[str, Array]]:
        scale = self.weight * progress / max(1, len(alphas))
        value = scale * sum(float(logsumexp(alpha)) for alpha in alphas.values())
        return value, {name: scale * softmax(alpha) for name, alpha in alphas.items()}


@dataclass(frozen=True)
class Entropy:
    """The mean over decisions of the entropy of softmax(alpha), in nats.

    Args:
        weight: Above 0 it presses for decisions, below 0 it puts them off.
    """

    weight: float

    def __call__(self, alphas: Alphas, progress: float) -> tuple[float, dict[str, Array]]:
        scale = self.weight / max(1, len(alphas))
        value = 0.0
        gradients: dict[str, Array] = {}
        for name, alpha in alphas.items():
            shares = softmax(alpha)
            entropy = float(entr(shares).sum())
            value += scale * entropy
            # dH/dalpha_i = -p_i (log p_i + H)
            gradients[name] = scale * (entr(shares) - shares * entropy)
        return value, gradients


def auxiliary_skip(progress: float, schedule: Literal["linear", "cosine"] = "linear") -> float:
    """Weight of the skip that DARTS- (Chu et al. 2021) adds to every mixture: from 1 to 0.

    Args:
        progress: The share of the search that is over, 0 to 1.
        schedule: How it falls.
    """
    if schedule == "linear":
        return 1.0 - progress
    return 0.5 * (1.0 + math.cos(math.pi * progress))
