"""The timing itself: contenders take turns in short rounds until enough is known.

A round gives every contender one turn. A turn is one untimed run, which brings the contender's
weights back into the caches, then timed samples for a few milliseconds. Whatever slows the machine
for longer than a round slows all of them.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from typing import Literal

import numpy as np

from optuna_nas.profiling.energy import EnergyMeter

TURN_SECONDS = 0.004
"""Length of a turn: long enough to fill caches, far shorter than a machine's slow spells."""

SAMPLE_SECONDS = 100e-6
"""Shortest timed sample; the timer and the loop around it cost about 0.1 microseconds."""

MIN_ROUNDS = 5
RESAMPLES = 500

Run = Callable[[], object]
StoppedBy = Literal["narrow", "budget"]


@dataclass
class Series:
    """Times of one contender, in milliseconds a run.

    Args:
        rounds: One array of samples for each round.
        runs_per_sample: Runs averaged in one sample: 1 unless the network is very short.
        joules: Energy of all turns, where there is a meter.
    """

    runs_per_sample: int = 1
    rounds: list[np.ndarray] = field(default_factory=list)
    joules: float = 0.0

    @property
    def samples(self) -> np.ndarray:
        """All samples, shape (samples,)."""
        return np.concatenate(self.rounds)

    @property
    def runs(self) -> int:
        """Timed runs in all."""
        return self.runs_per_sample * sum(len(samples) for samples in self.rounds)

    @property
    def minimum(self) -> float:
        """The quickest sample."""
        return float(min(samples.min() for samples in self.rounds))

    @property
    def millijoules(self) -> float | None:
        """Energy of a run; None where no counter has moved."""
        untimed = len(self.rounds)  # one at the start of each turn
        return self.joules * 1e3 / (self.runs + untimed) if self.joules > 0 else None

    def round_medians(self) -> np.ndarray:
        """Median of each round, shape (rounds,)."""
        return np.array([np.median(samples) for samples in self.rounds])

    def round_minima(self) -> np.ndarray:
        """Minimum of each round, shape (rounds,)."""
        return np.array([samples.min() for samples in self.rounds])


def median_interval(values: np.ndarray, *, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the median (Efron 1979), reproducible.

    Args:
        values: Shape (n,).
        confidence: Coverage, 0 to 1.

    Returns:
        Low and high end.
    """
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(values), size=(RESAMPLES, len(values)))
    medians = np.median(values[chosen], axis=1)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(medians, [tail, 1.0 - tail])
    return float(low), float(high)


def relative_width(interval: tuple[float, float]) -> float:
    """Half the width of an interval over its centre."""
    low, high = interval
    return (high - low) / (high + low)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _sample(run: Run, runs: int) -> float:
    """Milliseconds a run, averaged over ``runs`` of them."""
    if runs == 1:
        start = time.perf_counter_ns()
        run()
        return (time.perf_counter_ns() - start) / 1e6
    start = time.perf_counter_ns()
    for _ in repeat(None, runs):
        run()
    return (time.perf_counter_ns() - start) / runs / 1e6


def _warm_up(run: Run, at_least: int, budget_seconds: float) -> float:
    """Runs until stationary: blocks of ``at_least`` until one brings no gain of 2 %.

    Returns:
        Milliseconds of the quickest run seen.
    """
    end = time.perf_counter() + budget_seconds
    best = min(_sample(run, 1) for _ in range(at_least))
    while time.perf_counter() < end:
        block = min(_sample(run, 1) for _ in range(at_least))
        settled = block > 0.98 * best
        best = min(best, block)
        if settled:
            break
    return best


def _turn(run: Run, runs_per_sample: int) -> np.ndarray:
    run()
    samples = []
    end = time.perf_counter() + TURN_SECONDS
    while True:
        samples.append(_sample(run, runs_per_sample))
        if time.perf_counter() >= end:
            return np.array(samples)


def alternate(
    contenders: Sequence[Run],
    *,
    warmup: int,
    budget_seconds: float,
    min_seconds: float,
    narrow: Callable[[Sequence[Series]], bool],
    meter: EnergyMeter | None = None,
) -> tuple[list[Series], StoppedBy]:
    """Times all contenders, taking turns, until ``narrow`` says so or the budget is spent.

    Args:
        contenders: What to time; each call is one run.
        warmup: Untimed runs before, at least; more until the times are stationary.
        budget_seconds: For the rounds; at least `MIN_ROUNDS` are run whatever it says.
        min_seconds: The rounds go on for this long in any case.
        narrow: Asked now and then, each time after a quarter more rounds.
        meter: Read before and after each turn.

    Returns:
        One series for each contender, and what ended the rounds.
    """
    with _no_garbage_collection():
        series = []
        for run in contenders:
            quickest = _warm_up(run, warmup, 0.2 * budget_seconds / len(contenders))
            runs = max(1, math.ceil(SAMPLE_SECONDS * 1e3 / max(quickest, 1e-4)))
            series.append(Series(runs_per_sample=runs))
        start = time.perf_counter()
        rounds, next_check = 0, MIN_ROUNDS
        while True:
            for run, times in zip(contenders, series, strict=True):
                before = meter.read() if meter else ()
                times.rounds.append(_turn(run, times.runs_per_sample))
                if meter:
                    times.joules += meter.joules(before, meter.read())
            rounds += 1
            elapsed = time.perf_counter() - start
            if rounds >= next_check and elapsed >= min_seconds:
                next_check = rounds + max(1, rounds // 4)
                if narrow(series):
                    return series, "narrow"
            if rounds >= MIN_ROUNDS and elapsed >= budget_seconds:
                return series, "budget"
