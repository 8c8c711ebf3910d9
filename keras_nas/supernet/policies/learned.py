"""What policies with alphas share: one relaxation a decision, all decisions alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import softmax

from keras_nas.supernet.policies.policy import Alphas, Array, PathPolicy, Sample, chances, draw
from optuna_nas.supergraph import Alternatives, Gates

INITIAL_SCALE = 1e-3
"""Standard deviation of alphas at the start (Liu et al. 2019, their code)."""

Pullback = Callable[[Array], Array]
"""From a gradient in the gates (size,) of a decision to one in its alphas (size,)."""


class LearnedPolicy(PathPolicy):
    """A policy with one alpha an alternative.

    Which branches of a `Subset` are chosen follows from how sure the decisions inside of them are,
    as in DARTS; until then a mixture adds all of them up, and a policy of single paths draws them
    uniformly. With `edge_gates` they have alphas too, whose softmax weighs them (PC-DARTS).
    """

    learns = True
    edge_gates: bool = False

    @abstractmethod
    def relax(
        self, alpha: Array, progress: float, rng: np.random.Generator
    ) -> tuple[Array, Pullback]:
        """Gates (size,) of one decision from its alphas (size,), and the way back."""

    def strengths(self, alpha: Array) -> Array:
        """How strong each alternative is, (size,)."""
        return softmax(alpha)

    def initial_alphas(
        self, alternatives: Mapping[str, Alternatives], rng: np.random.Generator
    ) -> dict[str, Array]:
        return {
            name: INITIAL_SCALE * rng.standard_normal(decision.size)
            for name, decision in alternatives.items()
            if decision.options is None or self.edge_gates
        }

    def gates(
        self,
        alternatives: Mapping[str, Alternatives],
        alphas: Alphas,
        progress: float,
        rng: np.random.Generator,
    ) -> Sample:
        gates: dict[str, Array] = {}
        pullbacks: dict[str, Pullback] = {}
        for name, decision in alternatives.items():
            if name not in alphas:
                gates[name] = draw(decision, rng) if self.hard else np.ones(decision.size)
            elif decision.options is None:
                gates[name], pullbacks[name] = self.relax(alphas[name], progress, rng)
            else:
                gates[name], pullbacks[name] = softmax_gates(alphas[name])

        def backward(gradients: Gates) -> dict[str, Array]:
            return {name: pull(gradients[name]) for name, pull in pullbacks.items()}

        return Sample(gates, backward)

    def probabilities(
        self, alternatives: Mapping[str, Alternatives], alphas: Alphas
    ) -> dict[str, Array]:
        def of(name: str, decision: Alternatives) -> Array:
            if name not in alphas:
                return chances(decision)
            return (self.strengths if decision.options is None else softmax)(alphas[name])

        return {name: of(name, decision) for name, decision in alternatives.items()}

    def mixture(self, alternatives: Mapping[str, Alternatives], alphas: Alphas) -> dict[str, Array]:
        shares = self.probabilities(alternatives, alphas)
        if self.hard:
            return shares
        return {
            name: shares[name] if name in alphas else np.ones(d.size)
            for name, d in alternatives.items()
        }


def pull_softmax(shares: Array, gradient: Array) -> Array:
    """The gradient in logits from that in their softmax: p_i (g_i - sum_j g_j p_j)."""
    pulled: Array = shares * (gradient - shares @ gradient)
    return pulled


def softmax_gates(alpha: Array) -> tuple[Array, Pullback]:
    """Softmax of alphas as gates, and the way back."""
    shares = softmax(alpha)
    return shares, lambda gradient: pull_softmax(shares, gradient)
