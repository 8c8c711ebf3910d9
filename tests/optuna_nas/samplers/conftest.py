"""Let pytest explain the bare asserts of our own suites."""

import pytest

pytest.register_assert_rewrite("optuna_nas.testing")
