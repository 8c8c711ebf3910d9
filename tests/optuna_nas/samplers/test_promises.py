"""The sampler keeps the promises that `optuna_nas.testing` puts into tests."""

from __future__ import annotations

import pytest

from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.testing.samplers import SamplerFactory, SamplerPromises


class TestRegularizedEvolution(SamplerPromises):
    @pytest.fixture
    def make_sampler(self) -> SamplerFactory:
        return lambda seed: RegularizedEvolutionSampler(seed=seed)


class TestRegularizedEvolutionWithCrossover(SamplerPromises):
    @pytest.fixture
    def make_sampler(self) -> SamplerFactory:
        return lambda seed: RegularizedEvolutionSampler(
            seed=seed, population_size=10, tournament_size=3, crossover_probability=0.5
        )


class TestElitistEvolution(SamplerPromises):
    @pytest.fixture
    def make_sampler(self) -> SamplerFactory:
        return lambda seed: RegularizedEvolutionSampler(
            seed=seed,
            population_size=10,
            tournament_size=3,
            n_startup_trials=5,
            replacement=False,
            removal=0.5,
            crossover_probability=0.5,
            crossover="subtree",
            mutation_rate=0.2,
        )
