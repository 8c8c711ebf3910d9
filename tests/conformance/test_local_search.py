"""Local search passes the conformance suites that Optuna ships."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from optuna_nas.samplers import LocalSearchSampler

# The suites run few trials a study, so the second sampler has to climb from the second trial on.
SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "default": LocalSearchSampler,
    "climbing": lambda: LocalSearchSampler(n_startup_trials=1),
}


class TestLocalSearch(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=list(SAMPLERS))
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        return SAMPLERS[request.param]
