"""Let pytest explain the bare asserts of Optuna's suites and of ours."""

import pytest

pytest.register_assert_rewrite("optuna.testing.pytest_samplers", "optuna_nas.testing")
