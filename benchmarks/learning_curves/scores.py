"""How good forecasts are: the measures, on one task at one cutoff."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning_curves.data import Task
from optuna_nas.curves import Curve, CurveModel

Array = NDArray[np.float64]
WORST_LOG_DENSITY = -10.0
LARGEST_ERROR = 10.0


@dataclass(frozen=True)
class Scores:
    """Means over the forecasts of one task at one cutoff; errors in units of the task's scale."""

    log_likelihood: float
    mae: float
    coverage: float
    kendall: float
    milliseconds: float
    cases: int


def score(
    model: CurveModel,
    task: Task,
    cutoff: float,
    *,
    groups: Sequence[tuple[Array, Array]],
) -> Scores:
    """Forecast the final losses of some runs from their first part.

    Args:
        model: What forecasts.
        task: Where the runs are from.
        cutoff: Part of the horizon that is seen.
        groups: Studies: the runs that are forecast, and the finished ones a study knows.
    """
    count = max(1, round(cutoff * len(task.steps)))
    logs, errors, covered, taus, seconds = [], [], [], [], []
    for runs, finished in groups:
        peers = [Curve(task.steps, task.losses[i]) for i in finished]
        predictor = model.fit(peers, task.horizon)
        predicted = np.empty(len(runs))
        for place, run in enumerate(runs):
            values = task.losses[run, :count]
            start = time.perf_counter()
            posterior = predictor.predict(Curve.read(values, task.steps[:count], maximize=False))
            predicted[place] = posterior.mean
            seconds.append(time.perf_counter() - start)
            final = float(task.finals[run])
            logs.append(max(WORST_LOG_DENSITY, posterior.logpdf(final) + np.log(task.scale)))
            error = abs(posterior.mean - final) / task.scale
            errors.append(min(LARGEST_ERROR, error))
            covered.append(0.05 <= posterior.cdf(final) <= 0.95)
        taus.append(kendall(predicted, task.finals[runs]))
    return Scores(
        float(np.mean(logs)),
        float(np.mean(errors)),
        float(np.mean(covered)),
        float(np.nanmean(taus)),
        1e3 * float(np.median(seconds)),
        len(logs),
    )


def kendall(a: Array, b: Array) -> float:
    """Kendall's tau-b (1945)."""
    above = np.triu_indices(len(a), 1)
    x = np.sign(a[:, None] - a[None, :])[above]
    y = np.sign(b[:, None] - b[None, :])[above]
    norm = np.sqrt(float((x != 0).sum()) * float((y != 0).sum()))
    return float((x * y).sum()) / norm if norm else float("nan")


def studies(
    task: Task, finished: int, rng: np.random.Generator, *, number: int = 3, runs: int = 40
) -> list[tuple[Array, Array]]:
    """Disjoint runs to forecast and finished ones to know, for some studies."""
    groups = []
    for _ in range(number):
        order = rng.permutation(len(task.losses))
        groups.append((order[:runs], order[runs : runs + finished]))
    return groups


Maker = Callable[[], CurveModel]
