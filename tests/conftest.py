"""Settings of all tests, and what many of them share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

# One thread a process for linear algebra, also in the processes that tests start: matrices are
# small here, and threads that wait for each other take six times as long where pytest itself uses
# all processors. Read when NumPy is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import optuna
import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


def pytest_collection_finish() -> None:
    """Garbage collections need not look through TensorFlow, which is a million objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def quiet_optuna() -> Iterator[None]:
    """Optuna without its lines for each trial, and without its warnings of those that fail."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    yield
    optuna.logging.set_verbosity(verbosity)
