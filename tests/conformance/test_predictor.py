"""The predictor passes the conformance suites that Optuna ships."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from optuna_nas.samplers import PredictorSampler

# The suites run few trials a study, so the second sampler has to predict from the second trial on.
SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "default": PredictorSampler,
    "predicting": lambda: PredictorSampler(n_startup_trials=1, n_candidates=20),
}


class TestPredictor(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=list(SAMPLERS))
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        return SAMPLERS[request.param]
