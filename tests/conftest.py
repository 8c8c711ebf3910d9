"""Settings of all tests, and what many of them share."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@pytest.fixture
def quiet_optuna() -> Iterator[None]:
    """Optuna without its lines for each trial, and without its warnings of those that fail."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    yield
    optuna.logging.set_verbosity(verbosity)
