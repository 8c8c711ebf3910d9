from __future__ import annotations

from dataclasses import replace

import pytest

from optuna_nas.errors import ProfilingError
from optuna_nas.profiling import LatencyProfile

PROFILE = LatencyProfile(
    median_ms=1.0,
    p90_ms=1.2,
    min_ms=0.9,
    ci_ms=(0.95, 1.05),
    ratio_to_anchor=10.0,
    ratio_ci=(9.9, 10.1),
    anchor_ms=0.09,
    anchor_reference_ms=0.08,
    runs=100,
    rounds=10,
    seconds=1.0,
    stopped_by="narrow",
    size_bytes=1000,
    provenance={"threads": 1, "batch": 1, "cpu": "one", "provider": "CPU", "time": "today"},
)


def test_profiles_of_one_environment_are_comparable_at_any_time():
    other = replace(PROFILE, provenance={**PROFILE.provenance, "time": "tomorrow"})
    assert PROFILE.comparable_with(other)
    PROFILE.require_comparable(other)


def test_what_differs_is_named():
    other = replace(PROFILE, provenance={**PROFILE.provenance, "threads": 4, "cpu": "two"})
    assert not PROFILE.comparable_with(other)
    assert PROFILE.differences(other) == {"threads": (1, 4), "cpu": ("one", "two")}
    with pytest.raises(
        ProfilingError, match=r"threads: 1 and 4.*cpu: 'one' and 'two'|cpu.*threads"
    ):
        PROFILE.require_comparable(other)


def test_calibration():
    assert PROFILE.calibrated_ms == pytest.approx(0.8)
    assert PROFILE.slowdown == pytest.approx(0.09 / 0.08)
