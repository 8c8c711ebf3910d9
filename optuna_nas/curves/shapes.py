"""How training progresses: functions that go from 0 at the first step to 1 at the horizon.

The families are those of Domhan et al. 2015 (table 1), with the time as a part of the horizon, and
with what they lack: plateaus that end late, drops as learning rate schedules cause, and double
descent. Offset and amplitude are left out; the closed form integrates over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Progress = Callable[[Array], Array]


def power(exponent: float, delay: float) -> Progress:
    """pow3 and pow4: -(t + delay)^-exponent."""
    return lambda t: -np.power(t + delay, -exponent)


def logarithm(delay: float) -> Progress:
    """log(t + delay): the limit of small exponents, as in ilog2 and loglog_linear."""
    return lambda t: np.log(t + delay)


def weibull(time: float, exponent: float) -> Progress:
    """Weibull, janoschek and exp4: 1 - exp(-(t / time)^exponent)."""
    return lambda t: -np.expm1(-np.power(t / time, exponent))


def hill(time: float, exponent: float) -> Progress:
    """Hill3, MMF and log_power: t^exponent / (time^exponent + t^exponent)."""
    return lambda t: 1.0 / (1.0 + np.power(time / t, exponent))


def take_off(start: float, time: float) -> Progress:
    """A plateau until `start`, then saturation: late learning, or a drop of the learning rate."""
    return lambda t: -np.expm1(-np.maximum(t - start, 0.0) / time)


def staircase(time: float, first: float, second: float) -> Progress:
    """Saturation with two later gains, as two drops of the learning rate cause."""
    steps = (take_off(first, 0.03), take_off(second, 0.03))
    base = weibull(time, 0.7)
    return lambda t: base(t) + 0.4 * steps[0](t) + 0.1 * steps[1](t)


def double_descent(peak: float, height: float) -> Progress:
    """Saturation, interrupted by a temporary loss around `peak` (Nakkiran et al. 2020)."""
    base = weibull(0.5 * peak, 1.0)
    return lambda t: base(t) - height * np.exp(-(np.log(t / peak) ** 2) / 0.08)


def overfitting(best: float) -> Progress:
    """Gains until `best`, then a slow linear loss of half of them."""
    base = weibull(0.3 * best, 1.0)
    return lambda t: base(t) - 0.5 * np.maximum(t - best, 0.0)


def straight(exponent: float) -> Progress:
    """t^exponent: no saturation before the horizon."""
    return lambda t: np.power(t, exponent)


def _gains() -> Iterator[tuple[str, Progress]]:
    for exponent in (0.25, 0.5, 1.0, 2.0):
        for delay in (0.0, 0.03, 0.2):
            yield f"power {exponent} {delay}", power(exponent, delay)
    for delay in (0.0, 0.02, 0.1):
        yield f"logarithm {delay}", logarithm(delay)
    for time in (0.01, 0.03, 0.1, 0.2, 0.4, 0.8):
        for exponent in (0.5, 1.0, 2.0):
            yield f"weibull {time} {exponent}", weibull(time, exponent)
    for time in (0.03, 0.1, 0.2, 0.4, 0.8):
        for exponent in (1.0, 2.0, 4.0):
            yield f"hill {time} {exponent}", hill(time, exponent)
    for start in (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75):
        for time in (0.03, 0.3):
            yield f"take-off {start} {time}", take_off(start, time)
    for time in (0.05, 0.2):
        yield f"staircase {time} halves", staircase(time, 0.5, 0.75)
        yield f"staircase {time} thirds", staircase(time, 0.33, 0.67)
    for peak in (0.1, 0.3):
        yield f"double descent {peak}", double_descent(peak, 0.5)
    for best in (0.1, 0.3):
        yield f"overfitting {best}", overfitting(best)
    for exponent in (0.5, 1.0, 2.0):
        yield f"straight {exponent}", straight(exponent)


def _losses() -> Iterator[tuple[str, Progress]]:
    for exponent in (0.5, 1.0, 2.0):
        yield f"straight {exponent}", straight(exponent)
    for time in (0.03, 0.2):
        yield f"weibull {time} 1.0", weibull(time, 1.0)
    for start in (0.1, 0.3, 0.6):
        yield f"take-off {start} 0.3", take_off(start, 0.3)


GAINS: dict[str, Progress] = dict(_gains())
LOSSES: dict[str, Progress] = dict(_losses())
NAMES: tuple[str, ...] = ("constant", *GAINS, *(f"worse: {name}" for name in LOSSES))


def shape_matrix(times: Array) -> Array:
    """All shapes at some times.

    Args:
        times: Shape ``(n,)``, steps over the horizon, in (0, 1], increasing, the last one 1.

    Returns:
        Shape ``(n, len(NAMES))``. Losses, not gains: a shape that improves goes down by 1 from
        the first time to the last; one that gets worse goes up by 1; the first one is 0.
    """
    columns = [np.zeros_like(times)]
    for sign, family in ((-1.0, GAINS), (1.0, LOSSES)):
        for progress in family.values():
            values = progress(times)
            span = values[-1] - values[0]
            # A shape that peaked between has no net gain to be measured by.
            span = max(span, 0.25 * float(np.ptp(values)), 1e-12)
            columns.append(sign * (values - values[0]) / span)
    return np.column_stack(columns)
