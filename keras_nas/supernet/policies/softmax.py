"""DARTS: all alternatives at once, weighed by a softmax."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_nas.supernet.policies.learned import LearnedPolicy, Pullback, softmax_gates
from keras_nas.supernet.policies.policy import Array


@dataclass(frozen=True)
class SoftmaxPolicy(LearnedPolicy):
    """The mixture of DARTS (Liu et al. 2019, eq. 2).

    Args:
        edge_gates: Whether the branches of a `Subset` have alphas and a softmax of their own, as
            the edges of PC-DARTS do (Xu et al. 2020).
    """

    edge_gates: bool = False
    hard = False

    def relax(
        self, alpha: Array, progress: float, rng: np.random.Generator
    ) -> tuple[Array, Pullback]:
        return softmax_gates(alpha)
