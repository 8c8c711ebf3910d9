"""Samplers for `optuna.create_study(sampler=...)`."""

from optuna_nas.samplers.darts import DARTSSampler
from optuna_nas.samplers.local_search import LocalSearchSampler
from optuna_nas.samplers.policy_gradient import PolicyGradientSampler
from optuna_nas.samplers.predictor import PredictorSampler
from optuna_nas.samplers.regularized_evolution import RegularizedEvolutionSampler

__all__ = [
    "DARTSSampler",
    "LocalSearchSampler",
    "PolicyGradientSampler",
    "PredictorSampler",
    "RegularizedEvolutionSampler",
]
