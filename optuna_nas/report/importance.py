"""Which decisions moved which objective, by Optuna's importance evaluators and its slice plot."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial

from optuna_nas.report.reading import StudyReading

SAMPLE = 1000  # trials looked at; the importances of more differ little and cost seconds
LEAST = 4  # below this many trials an importance would be an anecdote


def decision_importances(reading: StudyReading) -> dict[str, dict[str, float]]:
    """Importance of each decision for each objective, each objective's adding up to 1.

    Objectives for which none can be computed (too few trials, no variation) are left out.
    """
    found: dict[str, dict[str, float]] = {}
    for index, name in enumerate(reading.objectives):
        trials = sampled_trials(reading, index)
        if len(trials) < LEAST or len({reading.values(trial)[index] for trial in trials}) < 2:
            continue
        try:
            with quiet():
                importances = optuna.importance.get_param_importances(
                    single_objective_study(reading, index, trials)
                )
        # Evaluators raise these where trials share no parameter or none varies, and ImportError
        # where an older Optuna's default evaluator finds no scikit-learn.
        except (ValueError, RuntimeError, ImportError):
            continue
        if any(value > 0 for value in importances.values()):
            found[name] = importances
    return found


def slice_figure(reading: StudyReading, params: list[str], *, objective: int = 0) -> Any:
    """Optuna's slice plot of some decisions against one objective: a plotly figure."""
    trials = sampled_trials(reading, objective)
    with quiet():
        study = single_objective_study(reading, objective, trials)
        return optuna.visualization.plot_slice(
            study, params=params, target_name=reading.objectives[objective]
        )


def sampled_trials(reading: StudyReading, objective: int) -> list[FrozenTrial]:
    """At most `SAMPLE` complete trials with a finite value, evenly over the study."""
    finite = [trial for trial in reading.complete if isfinite(reading.values(trial)[objective])]
    step = -(-len(finite) // SAMPLE) or 1
    return finite[::step]


def single_objective_study(
    reading: StudyReading, objective: int, trials: list[FrozenTrial]
) -> optuna.Study:
    """A copy in memory with one objective and without attributes.

    Optuna's evaluators and plots copy whole trials many times and print every attribute into hover
    texts; with learning curves and latency profiles attached that takes minutes and megabytes.
    """
    study = optuna.create_study(direction="maximize" if reading.maximize[objective] else "minimize")
    study.add_trials(
        optuna.trial.create_trial(
            params=trial.params,
            distributions=trial.distributions,
            value=reading.values(trial)[objective],
        )
        for trial in trials
    )
    return study


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's messages about the copy, experimental functions and sparse parameters."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(level, optuna.logging.ERROR))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            # Decisions few trials took: the page says what an importance is worth.
            warnings.filterwarnings("ignore", "Some regimes for parameter", UserWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
