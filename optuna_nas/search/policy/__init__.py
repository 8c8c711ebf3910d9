"""Policies over architectures, and how they are trained by policy gradients."""

from optuna_nas.search.policy.adam import Adam
from optuna_nas.search.policy.independent import IndependentPolicy
from optuna_nas.search.policy.learner import Learner, LearnerState
from optuna_nas.search.policy.objectives import ProximalPolicy, Reinforce
from optuna_nas.search.policy.policies import Policy
from optuna_nas.search.policy.recurrent import RecurrentPolicy
from optuna_nas.search.policy.rollout import Logits
from optuna_nas.search.policy.shaping import RankRewards, ValueRewards
from optuna_nas.search.policy.strategy import PolicyGradient

__all__ = [
    "Adam",
    "IndependentPolicy",
    "Learner",
    "LearnerState",
    "Logits",
    "Policy",
    "PolicyGradient",
    "ProximalPolicy",
    "RankRewards",
    "RecurrentPolicy",
    "Reinforce",
    "ValueRewards",
]
