"""Trials with learning curves that take no time, for suites."""

from __future__ import annotations

import math
from collections.abc import Sequence

import optuna
from optuna.study import Study
from optuna.trial import TrialState

STEPS = 20

# Final values of trials in the order they come: good and bad, with a new best now and then.
QUALITIES = (0.5, 0.3, 0.6, 0.2, 0.55, 0.4, 0.7, 0.1, 0.65, 0.35, 0.5, 0.15, 0.72, 0.3, 0.6, 0.05)


def curve(quality: float, steps: int = STEPS) -> list[float]:
    """A learning curve that rises to 98 % of `quality` at its last step. Curves never cross."""
    return [quality * (1.0 - math.exp(-4.0 * step / steps)) for step in range(1, steps + 1)]


def follow(study: Study, values: Sequence[float], steps: Sequence[int] | None = None) -> int | None:
    """Run one trial until it is pruned or its values end; the step it was pruned at, or None."""
    trial = study.ask()
    for step, value in zip(steps or range(1, len(values) + 1), values, strict=True):
        trial.report(value, step)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step
    if math.isfinite(values[-1]):
        study.tell(trial, values[-1])
    else:
        study.tell(trial, state=TrialState.FAIL)
    return None


def fill(study: Study, trials: int, steps: int) -> None:
    """Add completed trials of many qualities."""
    for number in range(trials):
        values = curve(0.3 + 0.4 * (number * 0.618 % 1.0), steps)
        study.add_trial(
            optuna.create_trial(
                value=values[-1], intermediate_values=dict(enumerate(values, start=1))
            )
        )
