"""ProxylessNAS: one path drawn by its probability, with the gradient of binary gates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from keras_nas.supernet.policies.learned import LearnedPolicy, Pullback, pull_softmax
from keras_nas.supernet.policies.policy import Array


@dataclass(frozen=True)
class BinaryGatesPolicy(LearnedPolicy):
    """Binarised paths (Cai et al. 2019).

    The gradient needs what every alternative would have given, so the step of the alphas runs them
    all, of which one is passed on; only the step of the weights runs one alone.
    """

    hard = True

    def relax(
        self, alpha: Array, progress: float, rng: np.random.Generator
    ) -> tuple[Array, Pullback]:
        shares = softmax(alpha)
        gate = np.eye(alpha.size)[rng.choice(alpha.size, p=shares)]
        # dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i)
        return gate, lambda gradient: pull_softmax(shares, gradient)
