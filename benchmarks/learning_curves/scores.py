"""How good forecasts are: the measures, on one task at one cutoff."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning_curves.data import Task
from optuna_nas.curves import Curve, CurveModel, Predictor

Array = NDArray[np.float64]
WORST_LOG_DENSITY = -10.0
LARGEST_ERROR = 10.0


@dataclass(frozen=True)
class Forecast:
    """One forecast and what came of it.

    Attributes:
        run: Row of the task.
        log_density: Of the final loss, in units of the task's scale; no less than -10.
        median: Of the forecast, in the units of the losses.
        inside: Whether the final loss is in the central 90 % interval.
        seconds: Of the processor.
    """

    run: int
    log_density: float
    median: float
    inside: bool
    seconds: float


@dataclass(frozen=True)
class Scores:
    """Means over the forecasts of one task at one cutoff; errors in units of the task's scale.

    The point that absolute errors and Kendall's tau are of is the median, the best one for both.
    """

    log_likelihood: float
    mae: float
    coverage: float
    kendall: float
    milliseconds: float
    cases: int


def forecast(predictor: Predictor, task: Task, run: int, cutoff: float) -> Forecast:
    """Forecast the final loss of a run from the part of it up to `cutoff`."""
    count = max(1, round(cutoff * len(task.steps)))
    values = task.losses[run, :count]
    start = time.process_time()
    posterior = predictor.predict(Curve.read(values, task.steps[:count], maximize=False))
    seconds = time.process_time() - start
    final = float(task.finals[run])
    return Forecast(
        int(run),
        max(WORST_LOG_DENSITY, posterior.logpdf(final) + float(np.log(task.scale))),
        posterior.quantile(0.5),
        0.05 <= posterior.cdf(final) <= 0.95,
        seconds,
    )


def score(
    model: CurveModel, task: Task, cutoff: float, *, groups: Sequence[tuple[Array, Array]]
) -> Scores:
    """Forecast some runs of every study.

    Args:
        model: What forecasts.
        task: Where the runs are from.
        cutoff: Part of the horizon that is seen.
        groups: Studies: the runs that are forecast, and the finished ones a study knows.
    """
    forecasts = []
    for runs, finished in groups:
        peers = [Curve(task.steps, task.losses[i]) for i in finished]
        predictor = model.fit(peers, task.horizon)
        forecasts.append([forecast(predictor, task, run, cutoff) for run in runs])
    return summary(task, forecasts)


def summary(task: Task, studies: Sequence[Sequence[Forecast]]) -> Scores:
    """The means over all studies; Kendall's tau within each."""
    every = [f for study in studies for f in study]
    finals = task.finals
    errors = [abs(f.median - finals[f.run]) / task.scale for f in every]
    taus = [
        kendall(np.array([f.median for f in study]), finals[[f.run for f in study]])
        for study in studies
    ]
    return Scores(
        float(np.mean([f.log_density for f in every])),
        float(np.mean(np.minimum(errors, LARGEST_ERROR))),
        float(np.mean([f.inside for f in every])),
        float(np.nanmean(taus)) if np.isfinite(taus).any() else float("nan"),
        1e3 * float(np.median([f.seconds for f in every])),
        len(every),
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
