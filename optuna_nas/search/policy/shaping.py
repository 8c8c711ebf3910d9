"""From fitness, in whatever unit, to the rewards a policy learns from."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from optuna_nas.search.domination import crowding_distances, domination_ranks, losses_of
from optuna_nas.search.fitness import Evidence
from optuna_nas.search.policy.policies import Array
from optuna_nas.search.population import Individual


class Rewards(Protocol):
    """Says how good individuals are, among those of late."""

    def __call__(self, recent: Sequence[Individual], count: int) -> Array:
        """Rewards of the last `count` of `recent`, shape (count,); more is better."""


class RankRewards:
    """The rank among recent individuals, from -1 for the worst to 1 for the best; ties share.

    It knows no unit and no outliers, and it goes on telling good from best when all have become
    good. Feasible ones go before infeasible ones, finished ones before those that were stopped
    early, and failures come last; so a reward needs no exceptions. Several objectives are ranked by
    non-domination, and within a front by crowding.
    """

    def __call__(self, recent: Sequence[Individual], count: int) -> Array:
        """See `Rewards`."""
        keys = _keys(recent)
        ordered = sorted(keys)
        # How many are better, counted twice, those that tie once.
        better = [
            bisect_left(ordered, key) + bisect_right(ordered, key) - 1 for key in keys[-count:]
        ]
        most = len(keys) - 1
        return (most - np.array(better)) / max(most, 1)


def _keys(individuals: Sequence[Individual]) -> list[tuple[object, ...]]:
    fitnesses = [individual.fitness for individual in individuals]
    objectives = max((len(f.losses) for f in fitnesses if f.comparable), default=1)
    if objectives == 1:
        return [(f.evidence == Evidence.FAILURE, *f.key) for f in fitnesses]
    ranks = domination_ranks(fitnesses)
    crowding = np.zeros(len(fitnesses))
    for rank in set(ranks.tolist()):
        front = [int(index) for index in np.flatnonzero(ranks == rank)]
        if fitnesses[front[0]].comparable:
            crowding[front] = crowding_distances(losses_of(fitnesses, front))
    return [
        (f.evidence == Evidence.FAILURE, int(rank), -float(distance))
        for f, rank, distance in zip(fitnesses, ranks, crowding, strict=True)
    ]


@dataclass(frozen=True)
class ValueRewards:
    """A reward that the user computes from the values of a trial.

    What failed, broke a constraint, or has no finite reward gets the worst reward of the recent
    ones, less their standard deviation where it broke a constraint.

    Attributes:
        function: From one value an objective, in the objective's own sign, to the reward.
        maximize: Whether each objective is maximised.
    """

    function: Callable[..., float]
    maximize: tuple[bool, ...]

    def __call__(self, recent: Sequence[Individual], count: int) -> Array:
        """See `Rewards`."""
        rewards = np.array([self._reward(individual) for individual in recent])
        proper = [
            reward
            for reward, individual in zip(rewards, recent, strict=True)
            if math.isfinite(reward) and individual.fitness.violation == 0
        ]
        worst = min(proper, default=0.0)
        spread = float(np.std(proper)) if proper else 0.0
        violated = np.array([individual.fitness.violation > 0 for individual in recent])
        rewards = np.where(np.isfinite(rewards), rewards, worst)
        return np.where(violated, worst - spread, rewards)[-count:]

    def _reward(self, individual: Individual) -> float:
        fitness = individual.fitness
        losses = fitness.losses
        if fitness.evidence == Evidence.REPORT and len(self.maximize) == 1:
            losses = fitness.losses[1:]  # its last report, behind the step
        elif fitness.evidence != Evidence.VALUES:
            return math.nan
        if not all(math.isfinite(loss) for loss in losses):
            return math.nan
        values = (
            -loss if maximize else loss
            for loss, maximize in zip(losses, self.maximize, strict=True)
        )
        return float(self.function(*values))


@dataclass(frozen=True)
class Baseline:
    """Moving mean of rewards without the bias towards its start.

    Attributes:
        decay: How much of it each reward leaves.
        total: Decayed sum of the rewards.
        weight: Decayed sum of ones.
    """

    decay: float
    total: float = 0.0
    weight: float = 0.0

    def advantages(self, rewards: Array) -> tuple[Array, Baseline]:
        """How far each reward is above the baseline, and the baseline after the last of them.

        Each reward enters the baseline before it is compared with it, as in NATS-Bench: the very
        first has no advantage.
        """
        total, weight = self.total, self.weight
        advantages = np.empty(len(rewards))
        for index, reward in enumerate(rewards.tolist()):
            total = self.decay * total + (1 - self.decay) * reward
            weight = self.decay * weight + (1 - self.decay)
            advantages[index] = reward - total / weight
        return advantages, Baseline(self.decay, total, weight)
