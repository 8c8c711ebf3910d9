from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.profiling.estimates import figures, narrow_enough
from optuna_nas.profiling.rounds import Series


def series(scale: float, *, spread: float = 0.0, pace: np.ndarray | None = None) -> Series:
    """Twenty rounds of three samples around a scale, each round times a pace of its own."""
    rng = np.random.default_rng(0)
    paces = np.ones(20) if pace is None else pace
    return Series(
        rounds=[scale * p * (1 + spread * rng.random(3)) for p in paces], runs_per_sample=2
    )


SLOW_AND_QUICK = np.tile([1.0, 1.5], 10)


def test_a_steady_ratio_is_narrow_though_the_times_are_not():
    model, anchor = series(1.0, pace=SLOW_AND_QUICK), series(0.1, pace=SLOW_AND_QUICK)
    assert narrow_enough(True, 0.01, None)([model, anchor])
    assert not narrow_enough(False, 0.01, None)([model])


def test_all_models_must_be_narrow():
    anchor, steady, noisy = series(0.1), series(1.0), series(1.0, spread=0.5)
    assert narrow_enough(True, 0.01, None)([steady, anchor])
    assert not narrow_enough(True, 0.01, None)([steady, noisy, anchor])
    assert narrow_enough(True, 0.5, None)([steady, noisy, anchor])


@pytest.mark.parametrize(("reference", "enough"), [(0.1, True), (0.098, True), (0.09, False)])
def test_no_measurement_ends_in_a_slow_spell(reference, enough):
    assert narrow_enough(True, 0.01, reference)([series(1.0), series(0.1)]) == enough


def test_figures():
    model, anchor = series(1.0, pace=SLOW_AND_QUICK), series(0.1, pace=SLOW_AND_QUICK)
    found = figures(model, anchor)
    assert found["min_ms"] == 1.0
    assert found["median_ms"] == 1.25  # between ten rounds of 1 and ten of 1.5
    assert found["p90_ms"] == 1.5
    assert found["ratio_to_anchor"] == pytest.approx(10.0)
    assert found["ratio_ci"] == pytest.approx((10.0, 10.0))
    assert (found["runs"], found["rounds"]) == (120, 20)
    assert found["energy_mj"] is None
    alone = figures(model, None)
    assert (alone["ratio_to_anchor"], alone["ratio_ci"], alone["anchor_ms"]) == (None, None, None)
