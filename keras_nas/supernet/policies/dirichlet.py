"""DrNAS: weights of the mixture drawn from a Dirichlet distribution whose shape is learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, softmax

from keras_nas.supernet.policies.learned import LearnedPolicy, Pullback, pull_softmax
from keras_nas.supernet.policies.policy import Alphas, Array

SMALLEST_CONCENTRATION = 1e-8
STEP = 1e-4
EDGE = 1e-12


@dataclass(frozen=True)
class DirichletPolicy(LearnedPolicy):
    """theta ~ Dir(beta) with beta = ELU(alpha) + 1 (Chen et al. 2021).

    Gradients are pathwise: those of the sample for fixed quantiles.

    Args:
        anchor: Weight of the squared distance of beta from 1, the uniform distribution; the
            paper's 1e-3.
        edge_gates: Whether the branches of a `Subset` have alphas and a softmax of their own.
    """

    anchor: float = 1e-3
    edge_gates: bool = False
    hard = False

    def relax(
        self, alpha: Array, progress: float, rng: np.random.Generator
    ) -> tuple[Array, Pullback]:
        quantiles = np.clip(rng.random((2, alpha.size)), EDGE, 1 - EDGE)
        logs, slopes = log_gamma_variate(concentration(alpha), *quantiles)
        shares = softmax(logs)  # Dirichlet: gamma variates divided by their sum
        chain = slopes * np.exp(np.minimum(alpha, 0))  # ELU'
        return shares, lambda gradient: pull_softmax(shares, gradient) * chain

    def strengths(self, alpha: Array) -> Array:
        beta = concentration(alpha)
        mean: Array = beta / beta.sum()
        return mean

    def penalty(self, alphas: Alphas) -> tuple[float, dict[str, Array]]:
        away = {name: concentration(alpha) - 1 for name, alpha in alphas.items()}
        value = self.anchor * sum(float(beta @ beta) for beta in away.values())
        return value, {
            name: 2 * self.anchor * beta * np.exp(np.minimum(alphas[name], 0))
            for name, beta in away.items()
        }


def concentration(alpha: Array) -> Array:
    """beta (size,) of alphas (size,): ELU(alpha) + 1, kept off 0, where nothing can be drawn."""
    beta: Array = np.where(alpha > 0, alpha + 1, np.exp(np.minimum(alpha, 0)))
    return np.maximum(beta, SMALLEST_CONCENTRATION)


def log_gamma_variate(shape: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """Logarithms (size,) of gamma variates at two quantiles each, and their slopes in the shape.

    A variate of shape a is one of shape a + 1 times U^(1/a) (Marsaglia & Tsang 2000, section 6):
    so logarithms stay finite where small shapes give variates too small for floating point.

    Args:
        shape: Shapes (size,), above 0.
        first: Quantiles (size,) of the variates of shape a + 1.
        second: U, (size,).
    """
    greater = gammaincinv(shape + 1, first)
    logs = np.log(greater) + np.log(second) / shape
    # The quantile's slope has no closed form: central differences, error of the order STEP^2.
    ahead, behind = (np.log(gammaincinv(shape + 1 + h, first)) for h in (STEP, -STEP))
    return logs, (ahead - behind) / (2 * STEP) - np.log(second) / shape**2
