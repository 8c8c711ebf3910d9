"""Reinforcement learning of a policy as an Optuna sampler."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

from optuna_nas._arguments import check_count, check_share
from optuna_nas.samplers._strategy_sampler import ConstraintsFunction, StrategySampler
from optuna_nas.search import Strategy
from optuna_nas.search.policy import (
    Adam,
    IndependentPolicy,
    Learner,
    Logits,
    Policy,
    PolicyGradient,
    ProximalPolicy,
    RankRewards,
    RecurrentPolicy,
    Reinforce,
    ValueRewards,
)
from optuna_nas.space import SearchSpace

# Chosen together with the batch size, epochs and entropy weight over NAS-Bench-201, NAS-Bench-Macro
# and random landscapes of 8 decisions in which neighbours interact; a factor of two either way
# matters little.
_LEARNING_RATES = {"recurrent": 0.04, "independent": 0.1}
_WINDOW = 100  # trials among which a trial is ranked


class PolicyGradientSampler(StrategySampler):
    """Draws trials from a policy that is trained by policy gradients on the trials before.

    The policy is either a recurrent network that takes one decision after the other, each given
    those before (the controller of Zoph & Le 2017, https://arxiv.org/abs/1611.01578, and ENAS), or
    a table in which decisions are independent. It is trained by PPO (Schulman et al. 2017,
    https://arxiv.org/abs/1707.06347) or REINFORCE, after every `batch_size` finished trials, in the
    order in which they finished. It starts with every value as likely.

    It works with any objective, also with parameters that exist only under some values of others:
    what a trial did not ask for is no part of its probability. Parameters and values join the
    policy when first seen; until then they are drawn at random. Ranges of up to 16 values have a
    probability for each; longer and continuous ones are cut into 8 parts of equal width, within
    which values are drawn uniformly.

    - By default the reward is the rank of a trial among the last 100, so no unit and no outlier
      matters: infeasible trials rank behind feasible ones, pruned ones by the value the pruner
      predicted or else behind finished ones, failed ones last. Several objectives are ranked by
      non-domination, then by crowding; a policy tends to one part of the front, so for a trade-off
      that is known beforehand give a `reward`.
    - Trials that ran beside others were drawn from an older policy. The probability they were drawn
      with is kept with each trial, in one attribute, and corrects for that. Trials of other
      samplers, and added ones, count as drawn uniformly.
    - Trials that are finished, failed or running are not proposed again; where the policy has
      nothing else to propose, neighbours of its proposals are.

    The policy is rebuilt from the trials in the study's storage, and is the same for all workers;
    only what they draw from it depends on the seed. The cost of a trial does not grow with the
    number of trials.

    Args:
        policy: ``"recurrent"`` or ``"independent"``.
        algorithm: ``"ppo"`` or ``"reinforce"``.
        reward: From the values of a trial, one argument an objective, to what is maximised, instead
            of the rank: say ``lambda accuracy, ms: absolute_reward(accuracy, ms, target=20.0)`` or
            `cubic_reward` (see `optuna_nas.search.rewards`). A reward has to be of the order of 1.
            Trials that failed or have none get the worst of the last 100; what breaks a constraint
            gets less.
        space: The declared space of the objective, if there is one.
        learning_rate: Of Adam; None for 0.04 (recurrent) or 0.1 (independent).
        batch_size: Number of trials between two updates.
        epochs: Steps of PPO on each batch. REINFORCE takes one.
        entropy_weight: Bonus on the entropy of each decision, which keeps the policy exploring.
        baseline_decay: How much of the moving mean that rewards are compared with stays at each.
        temperature: Divides the logits: above 1 explores more, below 1 less.
        tanh_constant: Bounds the logits, and so how sure the policy becomes; None leaves them free.
        hidden_size: Of the recurrent policy.
        deduplicate: Whether a proposal that equals a known trial is drawn anew, a bounded number of
            times.
        seed: Makes trials reproducible with ``n_jobs=1``: the same seed, the same trials. Trials
            depend on it and on their number, so workers may share one seed, and a resumed study
            does not begin again.
        constraints_func: As in Optuna's own samplers: maps a finished trial to constraint values,
            where positive ones are violations. `optuna.Trial.set_constraint` is the newer way.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        *,
        policy: Literal["recurrent", "independent"] = "recurrent",
        algorithm: Literal["ppo", "reinforce"] = "ppo",
        reward: Callable[..., float] | None = None,
        space: SearchSpace | None = None,
        learning_rate: float | None = None,
        batch_size: int = 8,
        epochs: int = 2,
        entropy_weight: float = 0.02,
        baseline_decay: float = 0.9,
        temperature: float = 1.0,
        tanh_constant: float | None = 2.5,
        hidden_size: int = 16,
        deduplicate: bool = True,
        seed: int | None = None,
        constraints_func: ConstraintsFunction | None = None,
    ) -> None:
        if policy not in ("recurrent", "independent"):
            raise ValueError(f'policy must be "recurrent" or "independent", got {policy!r}.')
        if algorithm not in ("ppo", "reinforce"):
            raise ValueError(f'algorithm must be "ppo" or "reinforce", got {algorithm!r}.')
        if learning_rate is None:
            learning_rate = _LEARNING_RATES[policy]
        _check_above_zero("learning_rate", learning_rate)
        _check_above_zero("temperature", temperature)
        if tanh_constant is not None:
            _check_above_zero("tanh_constant", tanh_constant)
        if not (_is_finite(entropy_weight) and entropy_weight >= 0):
            raise ValueError(
                f"entropy_weight must be at least 0 and finite, got {entropy_weight!r}."
            )
        check_share("baseline_decay", baseline_decay)
        if baseline_decay == 1:
            raise ValueError("baseline_decay must be below 1, got 1: no reward would count.")
        check_count("batch_size", batch_size)
        check_count("epochs", epochs)
        check_count("hidden_size", hidden_size)
        chosen: Policy = IndependentPolicy()
        if policy == "recurrent":
            chosen = RecurrentPolicy(hidden_size)
        learner = partial(
            Learner,
            policy=chosen,
            objective=ProximalPolicy() if algorithm == "ppo" else Reinforce(),
            logits=Logits(temperature, tanh_constant),
            adam=Adam(learning_rate),
            epochs=epochs if algorithm == "ppo" else 1,
            batch_size=batch_size,
            window=max(_WINDOW, batch_size),
            entropy_weight=entropy_weight,
            baseline_decay=baseline_decay,
        )
        super().__init__(
            partial(_strategy, learner, reward, deduplicate),
            space=space,
            seed=seed,
            constraints_func=constraints_func,
        )


def _strategy(
    learner: Callable[..., Learner],
    reward: Callable[..., float] | None,
    deduplicate: bool,
    maximize: tuple[bool, ...],
) -> Strategy:
    rewards = RankRewards() if reward is None else ValueRewards(reward, maximize)
    return PolicyGradient(learner(rewards=rewards), deduplicate)


def _check_above_zero(name: str, value: float) -> None:
    if not (_is_finite(value) and value > 0):
        raise ValueError(f"{name} must be above 0 and finite, got {value!r}.")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
