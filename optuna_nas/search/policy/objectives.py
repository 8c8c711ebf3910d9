"""What a policy is trained to minimise, as a function of its log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from optuna_nas.search.policy.policies import Array

# A weight is the product of many ratios, so it is cut off: at a little more than that of a policy
# which did not change. What the policy would hardly choose any more has a stale gradient and is
# dropped.
LARGEST_WEIGHT = 1.5
SMALLEST_WEIGHT = 0.01


def importance_weights(log_probabilities: Array, behaviour: Array) -> Array:
    """min(pi / mu, c) of each architecture, or 0 for a stale one: shape (batch,).

    A trial that ran beside others was drawn before the policy pi learnt from those, with mu.

    Args:
        log_probabilities: log pi of each choice, shape (batch, decisions).
        behaviour: log mu, with which the choices were made, same shape.
    """
    ratios = (log_probabilities - behaviour).sum(axis=1)
    weights = np.exp(np.minimum(ratios, np.log(LARGEST_WEIGHT)))
    return np.where(weights < SMALLEST_WEIGHT, 0.0, weights)


class Objective(Protocol):
    """The loss of a batch of architectures."""

    def __call__(
        self, log_probabilities: Array, before: Array, gains: Array
    ) -> tuple[float, Array]:
        """The loss, and its slope in each log-probability.

        Args:
            log_probabilities: log pi of each choice, shape (batch, decisions).
            before: The same before the first step on the batch.
            gains: A: the importance weight times how much better than expected each architecture
                was, over the number of architectures that count: shape (batch,).
        """


class Reinforce:
    """Williams 1992:

    L = -sum_i A_i log pi_i.                                                                (1)
    """

    def __call__(
        self, log_probabilities: Array, before: Array, gains: Array
    ) -> tuple[float, Array]:
        """See `Objective`."""
        loss = -float(gains @ log_probabilities.sum(axis=1))  # (1)
        return loss, np.broadcast_to(-gains[:, None], log_probabilities.shape)


@dataclass(frozen=True)
class ProximalPolicy:
    """The clipped objective of PPO (Schulman et al. 2017, equation 7):

        L = -sum_i sum_t min(r_it A_i, clip(r_it, 1 - eps, 1 + eps) A_i),                       (2)

    where r = pi / pi_before of one choice. That pi_before is not mu, for which A has its weight,
    lets a policy learn from trials it did not draw (Hilton et al. 2022, https://arxiv.org/abs/2110.00641).

    Attributes:
        clip: eps.
    """

    clip: float = 0.2

    def __call__(
        self, log_probabilities: Array, before: Array, gains: Array
    ) -> tuple[float, Array]:
        """See `Objective`."""
        ratios = np.exp(log_probabilities - before)
        free = ratios * gains[:, None]
        clipped = np.clip(ratios, 1 - self.clip, 1 + self.clip) * gains[:, None]
        loss = -float(np.minimum(free, clipped).sum())  # (2)
        return loss, np.where(free <= clipped, -free, 0.0)
