"""Regularised evolution passes the conformance suites that Optuna ships."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from optuna_nas.samplers import RegularizedEvolutionSampler

# The suites run few trials a study, so the second sampler has to breed from the second trial on.
SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "default": RegularizedEvolutionSampler,
    "breeding": lambda: RegularizedEvolutionSampler(
        population_size=3, tournament_size=2, n_startup_trials=1, crossover_probability=0.5
    ),
    "elitist": lambda: RegularizedEvolutionSampler(
        population_size=3,
        tournament_size=2,
        replacement=False,
        removal=0.5,
        n_startup_trials=1,
        crossover_probability=0.5,
        crossover="subtree",
        mutation_rate=0.5,
    ),
}


@pytest.fixture(params=list(SAMPLERS))
def sampler(request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
    return SAMPLERS[request.param]


class TestRegularizedEvolution(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture
    def sampler(self, sampler: Callable[[], BaseSampler]) -> Callable[[], BaseSampler]:
        return sampler
