"""The promises as tests of whatever sampler the command line names; see `__main__`."""

from __future__ import annotations

import pytest

from optuna_nas.testing.samplers import ProcessPromises, SamplerFactory, SamplerPromises


class TestSampler(SamplerPromises):
    """All that runs in one process."""

    @pytest.fixture
    def make_sampler(self, named_sampler: SamplerFactory) -> SamplerFactory:
        return named_sampler


class TestProcesses(ProcessPromises):
    """Four processes on a journal file."""

    @pytest.fixture
    def make_sampler(self, named_sampler: SamplerFactory) -> SamplerFactory:
        return named_sampler
