"""The DARTS sampler passes the conformance suites that Optuna ships.

Their objectives hold no decision of its space: for them it is a random sampler, which has to take
what is asked of it. The relative suite is for samplers that model the parameters they are given.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from optuna_nas.samplers import DARTSSampler
from tests.optuna_nas.samplers.bandit import Bandit
from tests.optuna_nas.samplers.studies import CHAIN

SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "first": lambda: DARTSSampler(space=CHAIN, source=Bandit(CHAIN, {}, epochs=2)),
    "interleaved": lambda: DARTSSampler(
        space=CHAIN, source=Bandit(CHAIN, {}, epochs=5), epochs_per_trial=1
    ),
}


class TestDARTS(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=list(SAMPLERS))
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        return SAMPLERS[request.param]
