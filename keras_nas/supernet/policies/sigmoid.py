"""FairDARTS: alternatives that do not compete, each weighed by a sigmoid of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from keras_nas.supernet.policies.learned import LearnedPolicy, Pullback
from keras_nas.supernet.policies.policy import Alphas, Array


@dataclass(frozen=True)
class SigmoidPolicy(LearnedPolicy):
    """Independent gates, driven to 0 or 1 (Chu et al. 2020).

    Args:
        zero_one: Weight of the zero-one loss -mean((sigma(alpha) - 0.5)^2); the paper's 10.
    """

    zero_one: float = 10.0
    hard = False

    def relax(
        self, alpha: Array, progress: float, rng: np.random.Generator
    ) -> tuple[Array, Pullback]:
        gate = expit(alpha)
        return gate, lambda gradient: gradient * gate * (1 - gate)

    def strengths(self, alpha: Array) -> Array:
        gate: Array = expit(alpha)
        return gate

    def penalty(self, alphas: Alphas) -> tuple[float, dict[str, Array]]:
        gates = {name: expit(alpha) for name, alpha in alphas.items()}
        count = max(1, sum(gate.size for gate in gates.values()))
        value = -self.zero_one / count * sum(float(((g - 0.5) ** 2).sum()) for g in gates.values())
        return value, {
            name: -2 * self.zero_one / count * (gate - 0.5) * gate * (1 - gate)
            for name, gate in gates.items()
        }
