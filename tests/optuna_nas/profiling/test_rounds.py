from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from optuna_nas.profiling.rounds import (
    MIN_ROUNDS,
    SAMPLE_SECONDS,
    Series,
    alternate,
    median_interval,
    relative_width,
)


class Counter:
    """A contender that takes no time and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> None:
        self.runs += 1


def test_the_interval_is_that_of_order_statistics():
    values = np.sort(np.random.default_rng(0).gamma(3.0, size=61))
    low, high = median_interval(values)
    # The distribution-free interval ends where the binomial count of values below the median does.
    exact_low, exact_high = stats.binom(len(values), 0.5).ppf([0.025, 0.975])
    assert abs(np.searchsorted(values, low) - exact_low) <= 1.5
    assert abs(np.searchsorted(values, high) - exact_high) <= 1.5
    assert low <= np.median(values) <= high


def test_the_interval_covers_the_median_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    intervals = [median_interval(rng.exponential(size=40)) for _ in range(300)]
    covered = np.mean([low <= np.log(2) <= high for low, high in intervals])
    assert 0.90 <= covered <= 0.99


def test_relative_width_is_half_the_interval_over_its_centre():
    assert relative_width((0.99, 1.01)) == pytest.approx(0.01)
    assert relative_width((2.0, 2.0)) == 0.0


def test_short_runs_are_averaged_until_the_timer_does_not_matter():
    run = Counter()
    (series,), _ = alternate(
        [run], warmup=3, budget_seconds=0.02, min_seconds=0.0, narrow=lambda _: True
    )
    assert series.runs_per_sample > 10
    assert series.minimum * series.runs_per_sample > SAMPLE_SECONDS * 1e3 / 10
    # Besides what was timed: the warm-up, and one run before each turn.
    assert run.runs >= series.runs + len(series.rounds) + 3


def test_every_contender_has_a_turn_in_every_round():
    series, stopped_by = alternate(
        [Counter(), Counter(), Counter()],
        warmup=1,
        budget_seconds=0.01,
        min_seconds=0.0,
        narrow=lambda _: False,
    )
    assert {len(times.rounds) for times in series} == {MIN_ROUNDS}
    assert stopped_by == "budget"


def test_narrow_is_asked_and_obeyed():
    asked: list[int] = []

    def narrow(series: list[Series]) -> bool:
        asked.append(len(series[0].rounds))
        return len(asked) == 3

    _, stopped_by = alternate(
        [Counter()], warmup=1, budget_seconds=60.0, min_seconds=0.0, narrow=narrow
    )
    assert stopped_by == "narrow"
    assert asked[0] == MIN_ROUNDS
    assert asked == sorted(asked)


def test_a_contender_that_fails_leaves_garbage_collection_on():
    import gc

    def broken() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        alternate([broken], warmup=1, budget_seconds=0.1, min_seconds=0.0, narrow=lambda _: True)
    assert gc.isenabled()
