"""A policy's probabilities of given architectures, and their gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_nas.search.policy.layout import layout_of
from optuna_nas.search.policy.policies import Array, Parameters, Policy
from optuna_nas.search.policy.vocabulary import Batch

NO_CELL = -1e9  # logit of what can't be chosen; finite, so that 0 times it is 0


@dataclass(frozen=True)
class Logits:
    """How logits become a distribution: softmax(c tanh(x / T)).

    Attributes:
        temperature: T; above 1 explores more, below 1 less.
        tanh_constant: c bounds how sure the policy can become (Bello et al. 2017, and ENAS); None
            leaves the tanh out.
    """

    temperature: float = 1.0
    tanh_constant: float | None = None

    def squash(self, x: Array) -> Array:
        """c tanh(x / T)."""
        if self.tanh_constant is None:
            return x / self.temperature
        squashed: Array = self.tanh_constant * np.tanh(x / self.temperature)
        return squashed

    def steepness(self, x: Array) -> Array | float:
        """Derivative of `squash`."""
        if self.tanh_constant is None:
            return 1.0 / self.temperature
        steepness: Array = self.tanh_constant * (1 - np.tanh(x / self.temperature) ** 2)
        return steepness / self.temperature


def log_softmax(x: Array) -> Array:
    """Over the last axis."""
    x = x - x.max(axis=-1, keepdims=True)
    log_p: Array = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return log_p


class Rollout:
    """A policy's view of some architectures.

    Attributes:
        log_probabilities: Of each choice given those before it, 0 where nothing was decided:
            shape (batch, decisions).
        entropies: Of the distribution each was drawn from, 0 likewise: shape (batch, decisions).
    """

    def __init__(
        self, policy: Policy, parameters: Parameters, batch: Batch, logits: Logits
    ) -> None:
        layout = layout_of(batch.decisions)
        raw, record = policy.score(parameters, layout, batch.choices)
        # All below has the shape (decisions, batch, cells).
        log_p = log_softmax(np.where(layout.valid[:, None], logits.squash(raw), NO_CELL))
        chosen = batch.choices.T[..., None]
        self._decided = chosen >= 0
        self._chosen = self._decided & (np.arange(log_p.shape[2]) == chosen)
        self._policy, self._parameters, self._record = policy, parameters, record
        self._logits, self._raw, self._log_p = logits, raw, log_p
        self.log_probabilities: Array = np.where(self._chosen, log_p, 0.0).sum(axis=2).T
        self._p: Array = np.where(self._decided, np.exp(log_p), 0.0)
        self.entropies: Array = -(self._p * log_p).sum(axis=2).T

    def gradient(self, choice_slopes: Array, entropy_slope: float) -> Parameters:
        """Gradient in the parameters.

        Args:
            choice_slopes: Slope of the loss in each of `log_probabilities`, same shape.
            entropy_slope: Slope of the loss in each of `entropies`.
        """
        # d log p(a) / dx_j = [j = a] - p_j;   dH / dx_j = -p_j (log p_j + H)
        slopes = choice_slopes.T[..., None] * (self._chosen - self._p)
        slopes -= entropy_slope * self._p * (self._log_p + self.entropies.T[..., None])
        slopes *= self._logits.steepness(self._raw)
        return self._policy.gradient(self._parameters, self._record, slopes)
