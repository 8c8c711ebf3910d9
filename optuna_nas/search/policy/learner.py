"""Training of a policy, as a function from one state to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optuna_nas.search.policy.adam import Adam, Moments
from optuna_nas.search.policy.objectives import Objective, importance_weights
from optuna_nas.search.policy.policies import Array, Parameters, Policy
from optuna_nas.search.policy.rollout import Logits, Rollout
from optuna_nas.search.policy.shaping import Baseline, Rewards
from optuna_nas.search.policy.vocabulary import Batch, Vocabulary
from optuna_nas.search.population import Individual

# In the note of a trial: name of a decision -> log-probability with which it was taken.
LOG_PROBABILITIES = "log_probabilities"


@dataclass(frozen=True)
class LearnerState:
    """What was learnt of the first individuals. It never changes: training makes another one.

    Attributes:
        count: How many individuals.
        baseline: Of their rewards.
        vocabulary: Their decisions.
        parameters: Of the policy.
        moments: Of the optimiser.
    """

    count: int
    baseline: Baseline
    vocabulary: Vocabulary
    parameters: Parameters
    moments: Moments


@dataclass(frozen=True)
class Learner:
    """How a policy is trained.

    Attributes:
        policy: The policy.
        objective: What it minimises.
        rewards: What is good.
        logits: How its logits become a distribution.
        adam: The optimiser.
        epochs: Steps on each batch.
        batch_size: How many individuals a batch has.
        window: Among how many recent individuals a reward is found, those of the batch included.
        entropy_weight: Bonus on the entropy of each decision, relative to the reward.
        baseline_decay: Share of the baseline that stays at each reward.
    """

    policy: Policy
    objective: Objective
    rewards: Rewards
    logits: Logits
    adam: Adam
    epochs: int
    batch_size: int
    window: int
    entropy_weight: float
    baseline_decay: float

    def start(self) -> LearnerState:
        """Before the first individual."""
        vocabulary = Vocabulary()
        parameters = self.policy.grown({}, vocabulary)
        return LearnerState(0, Baseline(self.baseline_decay), vocabulary, parameters, Moments())

    def after(self, state: LearnerState, individuals: Sequence[Individual]) -> LearnerState:
        """The state after one more batch.

        Args:
            state: The state before it.
            individuals: All individuals, oldest first; those behind the batch do not matter.
        """
        end = state.count + self.batch_size
        members = individuals[state.count : end]
        vocabulary = state.vocabulary.extended(members)
        parameters = state.parameters
        if vocabulary is not state.vocabulary:
            parameters = self.policy.grown(parameters, vocabulary)
        recent = individuals[max(0, end - self.window) : end]
        advantages, baseline = state.baseline.advantages(self.rewards(recent, len(members)))
        batch = vocabulary.batch(members)
        parameters, moments = self._train(
            parameters, state.moments, batch, _behaviour(batch, members), advantages
        )
        return LearnerState(end, baseline, vocabulary, parameters, moments)

    def _train(
        self,
        parameters: Parameters,
        moments: Moments,
        batch: Batch,
        behaviour: Array,
        advantages: Array,
    ) -> tuple[Parameters, Moments]:
        rollout = Rollout(self.policy, parameters, batch, self.logits)
        before = rollout.log_probabilities
        weights = importance_weights(before, behaviour)
        gains = weights * advantages / max(int(np.count_nonzero(weights)), 1)
        for epoch in range(self.epochs):
            if epoch:
                rollout = Rollout(self.policy, parameters, batch, self.logits)
            _, slopes = self.objective(rollout.log_probabilities, before, gains)
            gradient = rollout.gradient(slopes, -self.entropy_weight / len(advantages))
            parameters, moments = self.adam.step(parameters, gradient, moments)
        return parameters, moments


def _behaviour(batch: Batch, individuals: Sequence[Individual]) -> Array:
    """Log-probability each choice was made with, shape (batch, decisions).

    Decisions that no note speaks of were drawn by a sampler that knew nothing of them yet, or were
    chosen by somebody else: they count as drawn uniformly.
    """
    behaviour = np.zeros(batch.choices.shape)
    for column, decision in enumerate(batch.decisions):
        uniform = -float(np.log(len(decision.cells)))
        for row, individual in enumerate(individuals):
            if batch.choices[row, column] >= 0:
                noted = (individual.note or {}).get(LOG_PROBABILITIES, {})
                behaviour[row, column] = noted.get(decision.name, uniform)
    return behaviour
