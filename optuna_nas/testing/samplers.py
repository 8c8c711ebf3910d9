"""What every sampler of this project promises beyond Optuna's own conformance suites.

Subclass `SamplerPromises` in a test module and override its fixture::

    class TestMySampler(SamplerPromises):
        @pytest.fixture
        def make_sampler(self):
            return lambda seed: MySampler(seed=seed)

or choose from the suites it is made of: a sampler that means to average noise will not promise to
deduplicate. `ProcessPromises` starts processes, takes some seconds, and is therefore apart. What
each test asks for is in its first line; ``python -m optuna_nas.testing`` prints which of them any
samplers keep.

Let pytest explain its asserts: ``pytest.register_assert_rewrite("optuna_nas.testing")`` in
conftest.py. Run Optuna's suites (`optuna.testing.pytest_samplers`) as well.
"""

from __future__ import annotations

from optuna_nas.testing.deduplication import DeduplicationPromises
from optuna_nas.testing.driving import DrivingPromises
from optuna_nas.testing.learning import ConditionalLearningPromises, LearningPromises
from optuna_nas.testing.objectives import large_objective, small_objective
from optuna_nas.testing.reproducibility import ReproducibilityPromises
from optuna_nas.testing.suite import CountingStorage, SamplerFactory, SamplerSuite, params_of
from optuna_nas.testing.workers import ProcessPromises, ThreadPromises

__all__ = [
    "ConditionalLearningPromises",
    "CountingStorage",
    "DeduplicationPromises",
    "DrivingPromises",
    "LearningPromises",
    "ProcessPromises",
    "ReproducibilityPromises",
    "SamplerFactory",
    "SamplerPromises",
    "SamplerSuite",
    "ThreadPromises",
    "large_objective",
    "params_of",
    "small_objective",
]


class SamplerPromises(
    ReproducibilityPromises,
    DeduplicationPromises,
    DrivingPromises,
    LearningPromises,
    ConditionalLearningPromises,
    ThreadPromises,
):
    """All promises but those that need other processes."""
