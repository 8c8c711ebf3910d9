"""Let pytest explain the bare asserts of our own suite."""

import pytest

pytest.register_assert_rewrite("optuna_nas.testing.samplers")
