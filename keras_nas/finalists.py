"""The last step of a search: the best of its front are trained in full, exported and tested."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from keras_nas.binding import anchor_of
from keras_nas.delivery import Delivery, deliver
from keras_nas.isolation import JobError, JobInterruptedError
from keras_nas.jobs import time_files
from keras_nas.objective import NASObjective
from optuna_nas._optuna import record_of
from optuna_nas.profiling import LatencyProfile
from optuna_nas.report import pareto_front

FALLBACK_SECONDS = 20.0  # for a training of which no earlier one tells the time
LATENCY_SECONDS = 0.5  # for each finalist

OnProgress = Callable[[int, float], None]
"""Takes how many are trained, and the share of all their epochs that is done."""


@dataclass(frozen=True)
class Finalist:
    """A candidate of the front, trained in full.

    Args:
        trial: Its trial.
        epochs: Epochs of the full training.
        delivery: Its files, its test accuracy and the proof; None where that failed.
        failure: Why it failed.
        latency: Measured side by side with the other finalists, from its file.
    """

    trial: FrozenTrial
    epochs: int
    delivery: Delivery | None = None
    failure: str | None = None
    latency: LatencyProfile | None = None

    @property
    def validation_accuracy(self) -> float:
        """Accuracy the search saw, by which the best is chosen; the test rows have no say."""
        return record_of(self.trial).accuracy or 0.0

    def to_dict(self, folder: Path) -> dict[str, Any]:
        """Plain values, for JSON; paths within the folder, which may be moved."""
        delivery = None if self.delivery is None else self.delivery.to_dict()
        for key in ("keras_file", "onnx_file"):
            if delivery is not None:
                delivery[key] = os.path.relpath(delivery[key], folder)
        return {
            "trial": self.trial.number,
            "params": dict(self.trial.params),
            "values": self.trial.values,
            "validation_accuracy": self.validation_accuracy,
            "epochs": self.epochs,
            "failure": self.failure,
            "delivery": delivery,
            "latency_ms": None if self.latency is None else self.latency.calibrated_ms,
            "latency": None if self.latency is None else self.latency.to_dict(),
        }


def read_finalists(content: Any, study: Study, folder: Path) -> list[Finalist]:
    """Finalists of an earlier run whose files are still there, from their `Finalist.to_dict`."""
    trials = study.get_trials(deepcopy=False)
    finalists = []
    for state in content if isinstance(content, list) else []:
        try:
            given = state["delivery"]
            paths = {key: str(folder / given[key]) for key in ("keras_file", "onnx_file")}
            delivery = Delivery(**{**given, **paths})
            latency = state["latency"]
            trial = trials[state["trial"]]
            if (dict(trial.params), trial.values) != (state["params"], state["values"]):
                continue  # of another study: the database was removed, or is another one
            finalist = Finalist(
                trial,
                state["epochs"],
                delivery,
                latency=None if latency is None else LatencyProfile.from_dict(latency),
            )
        except (KeyError, TypeError, IndexError):  # failed, or written by another version
            continue
        if Path(delivery.keras_file).exists() and Path(delivery.onnx_file).exists():
            finalists.append(finalist)
    return finalists


def choose_finalists(study: Study, count: int) -> list[FrozenTrial]:
    """The most accurate of the front, each architecture once.

    Args:
        study: The study; with one objective its best by value are taken.
        count: How many at most.
    """
    rows = pareto_front(study, few=count)
    rows.sort(key=lambda row: -(row.accuracy or 0.0))
    trials = study.get_trials(deepcopy=False)
    return [trials[row.trial] for row in rows[:count]]


def finish(
    study: Study,
    objective: NASObjective,
    folder: Path,
    *,
    count: int,
    epochs: int,
    budget_seconds: float,
    jobs: int = 1,
    earlier: Sequence[Finalist] = (),
    on_progress: OnProgress | None = None,
) -> list[Finalist]:
    """Train finalists on training and validation rows, export, prove and test them.

    The first is always done; further ones only as far as the time they will take, judged by their
    trials' training, is left.

    Args:
        study: The study.
        objective: The objective of its trials, with its workers.
        folder: Where the files go, ``trial_<number>.keras`` and ``.onnx``.
        count: Finalists at most.
        epochs: Epochs of the full training.
        budget_seconds: Time for all.
        jobs: Finalists trained at once.
        earlier: Finalists of an earlier run; those that are still chosen are not done again.
        on_progress: Told of each epoch.
    """
    known = {f.trial.number: f for f in earlier if f.epochs == epochs}
    chosen = choose_finalists(study, count)
    affordable: list[FrozenTrial] = []
    seconds = 0.0
    for trial in chosen:
        if trial.number not in known:
            seconds += _expected(trial, objective, epochs) / jobs
            if not affordable or seconds <= budget_seconds:
                affordable.append(trial)
    new = finish_trials(
        affordable, objective, folder, epochs=epochs, jobs=jobs, on_progress=on_progress
    )
    found = {**known, **{finalist.trial.number: finalist for finalist in new}}
    finalists = [found[trial.number] for trial in chosen if trial.number in found]
    return _with_latencies(finalists, objective, study) if new else finalists


def finish_trials(
    trials: Sequence[FrozenTrial],
    objective: NASObjective,
    folder: Path,
    *,
    epochs: int,
    jobs: int = 1,
    on_progress: OnProgress | None = None,
) -> list[Finalist]:
    """Train trials' networks in full, and export, prove and test them; see `finish`.

    Returns:
        What is done when all are, or when the objective is interrupted.
    """
    if not trials:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    done = dict.fromkeys((trial.number for trial in trials), 0)

    def finish_one(trial: FrozenTrial) -> Finalist | None:
        def hear(epoch: int) -> None:
            done[trial.number] = epoch
            if on_progress is not None:
                on_progress(len(trials), sum(done.values()) / (epochs * len(trials)))

        hear(0)
        try:
            return _finish_one(trial, objective, folder, epochs, hear)
        except JobInterruptedError:
            return None

    with ThreadPoolExecutor(jobs) as threads:
        try:
            return [found for found in threads.map(finish_one, trials) if found is not None]
        except KeyboardInterrupt:  # else the pool would wait until all is trained
            objective.interrupt()
            raise


def best_of(finalists: Sequence[Finalist]) -> Finalist | None:
    """The finalist of the highest validation accuracy, the quicker one of equals."""
    done = [finalist for finalist in finalists if finalist.delivery is not None]

    def merit(finalist: Finalist) -> tuple[float, float]:
        latency = finalist.latency
        return finalist.validation_accuracy, -(latency.calibrated_ms if latency else 0.0)

    return max(done, key=merit, default=None)


def _finish_one(
    trial: FrozenTrial,
    objective: NASObjective,
    folder: Path,
    epochs: int,
    hear: Callable[[int], None],
) -> Finalist:
    space = objective.space
    genotype = space.genotype(trial.params)
    plan = replace(objective.plan.override(space.training(genotype)), epochs=epochs)
    try:
        with objective.evaluator.lend() as candidate:
            delivery = candidate.run(
                deliver,
                space.graph(genotype).to_json(),
                plan.to_job(),
                str(folder / f"trial_{trial.number}"),
                on_message=hear,
            )
    except JobInterruptedError:
        raise
    except JobError as error:
        return Finalist(trial, epochs, failure=error.reason)
    return Finalist(trial, epochs, delivery)


def _expected(trial: FrozenTrial, objective: NASObjective, epochs: int) -> float:
    seconds = record_of(trial).seconds.get("train")
    if seconds is None:
        return FALLBACK_SECONDS
    rows = objective.data.rows
    return seconds * epochs / objective.plan.epochs * (1 + rows["val"] / rows["train"])


def _with_latencies(
    finalists: list[Finalist], objective: NASObjective, study: Study
) -> list[Finalist]:
    """Measure the files side by side, so that what disturbs one disturbs all."""
    files = {f.trial.number: f.delivery.onnx_file for f in finalists if f.delivery is not None}
    if not files:
        return finalists
    try:
        with objective.evaluator.lend() as candidate:
            profiles = candidate.run(
                time_files,
                list(files.values()),
                anchor_of(study),
                LATENCY_SECONDS,
                objective.device,
            )
    except JobError:
        return finalists
    latencies = dict(zip(files, map(LatencyProfile.from_dict, profiles), strict=True))
    return [replace(f, latency=latencies.get(f.trial.number, f.latency)) for f in finalists]
