"""Optuna's own suites, run on our samplers: let pytest explain their bare asserts."""

import pytest

pytest.register_assert_rewrite("optuna.testing.pytest_samplers")
