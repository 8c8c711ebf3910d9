"""Samplers for `optuna.create_study(sampler=...)`."""

from optuna_nas.samplers.regularized_evolution import RegularizedEvolutionSampler

__all__ = ["RegularizedEvolutionSampler"]
