"""The policy-gradient sampler passes the conformance suites that Optuna ships."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from optuna_nas.samplers import PolicyGradientSampler

# The suites run few trials a study, so the second sampler has to train from the first trial on.
SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "default": PolicyGradientSampler,
    "trained at once": lambda: PolicyGradientSampler(batch_size=1),
    "independent": lambda: PolicyGradientSampler(
        policy="independent", algorithm="reinforce", batch_size=1
    ),
}


@pytest.fixture(params=list(SAMPLERS))
def sampler(request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
    return SAMPLERS[request.param]


class TestPolicyGradient(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture
    def sampler(self, sampler: Callable[[], BaseSampler]) -> Callable[[], BaseSampler]:
        return sampler
