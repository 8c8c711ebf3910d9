"""`NASObjective`: what a trial of an architecture search does, for any Optuna study and sampler."""

from __future__ import annotations

import logging
import math
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from keras_nas.attempt import Attempt, Reporter
from keras_nas.binding import anchor_of, bind_study, save_anchor
from keras_nas.candidates import LEARNING_RATE, Evaluator, TrainingPlan
from keras_nas.data import Dataset, load
from keras_nas.isolation import JobError, JobInterruptedError
from keras_nas.isolation.errors import describe
from keras_nas.limits import Limits
from keras_nas.metrics import metrics_named
from optuna_nas._optuna import FAILURE, TrialRecord, own, record_of, save_record, trials_of
from optuna_nas.errors import NASError, ProfilingError
from optuna_nas.profiling import AdditiveLatency
from optuna_nas.space import SearchSpace

INTERRUPTED = "interrupted"

_logger = logging.getLogger("keras_nas")


class NASObjective:
    """Train and measure one architecture a trial.

    Use it as ``study.optimize(objective, n_trials=...)`` with any sampler, on a study made with
    ``optuna.create_study(directions=objective.directions)``.

    A trial takes its architecture from the space, measures its latency before training it, trains
    it in a process of its own, and keeps what it learned as its `TrialRecord`.

    - A candidate that passes a limit is rejected before its first epoch. Its trial is COMPLETE,
      with the values of a network that guesses and with what was measured, and infeasible by
      `optuna.Trial.set_constraint`: all of Optuna's samplers understand that, several of them
      ignore PRUNED trials, and Optuna leaves it out of the best trials.
    - A candidate that raises, runs out of memory, hangs or takes its process down costs its trial
      only: the trial is FAILed and the reason is kept in its user attribute
      ``optuna_nas:failure``. The objective returns NaN for that instead of raising, so no
      ``catch=`` is needed.
    - With one objective that is learned, every epoch is reported to the trial and pruners are
      honoured. With several, Optuna takes no reports: then a study's
      `optuna_nas.pruners.LearningCurvePruner` is asked directly, and others are not.

    Args:
        space: What may be chosen.
        data: A `Dataset`, or what `keras_nas.data.load` takes.
        objectives: One or more of accuracy, error, loss (of validation rows), latency_ms, params,
            macs, size_bytes, peak_activation_bytes.
        epochs: Most passes over the training rows. What the space decides about training
            (``learning_rate`` and so on) takes precedence over this and the following arguments.
        batch_size: Rows a step.
        learning_rate: Of the first step.
        patience: Epochs without a better validation accuracy before training stops; None: never.
        data_fraction: Share of the training rows used.
        max_latency_ms: Limit of the latency.
        max_params: Limit of the trainable parameters.
        isolation: "process": candidates live in processes of their own. "none": in this one, where
            a crash is a crash and no limits of time and memory are kept.
        threads: Threads for training one candidate; None: all cores.
        time_limit: Seconds one candidate may train.
        memory_limit: Bytes its process may use.
        reuse: Take the values of an architecture known to the study instead of training it again.
        latency_seconds: Most seconds spent measuring one latency.
        device: Command that runs a Python program from its standard input on the device whose
            latency counts, such as ``["ssh", "pi", "python3", "-"]``; None: this machine. The
            device needs Python 3.10, NumPy and ONNX Runtime.
        latency_table: Predicts latencies, which are not measured then: a `LatencyTable` or a
            `LatencyPredictor`, maybe of a device that is not at hand.
        data_folder: Where a folder for the workers' data is made; among the temporary ones where
            left out. It is removed by `close`.
        seed: Seed of the weights and of the order of rows.

    Raises:
        DataError: The data can't be used.
        MetricError: An objective is unknown.
    """

    def __init__(
        self,
        space: SearchSpace,
        data: Dataset | str,
        *,
        objectives: Sequence[str] = ("accuracy", "latency_ms"),
        epochs: int = 10,
        batch_size: int = 64,
        learning_rate: float = LEARNING_RATE,
        patience: int | None = None,
        data_fraction: float = 1.0,
        max_latency_ms: float | None = None,
        max_params: int | None = None,
        isolation: str = "process",
        threads: int | None = None,
        time_limit: float | None = None,
        memory_limit: int | None = None,
        reuse: bool = True,
        latency_seconds: float = 0.3,
        device: Sequence[str] | None = None,
        latency_table: AdditiveLatency | None = None,
        data_folder: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.space = space
        self.metrics = metrics_named(objectives)
        self.limits = Limits(max_latency_ms, max_params)
        self.data = data if isinstance(data, Dataset) else load(data, seed=seed)
        _check_fit(space, self.data)
        self.plan = TrainingPlan(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            patience=patience,
            data_fraction=data_fraction,
            seed=seed,
        )
        self.device = None if device is None else list(device)
        self.latency_table = latency_table
        self.evaluator = Evaluator(
            self.data,
            isolation=isolation,
            threads=threads,
            time_limit=time_limit,
            memory_limit=memory_limit,
            latency_seconds=latency_seconds,
            device=self.device,
            folder=data_folder,
        )
        self._reuse = reuse
        self._lock = threading.Lock()
        self._anchors: dict[tuple[int, int], float | None] = {}

    @property
    def directions(self) -> list[str]:
        """Directions of the objectives, for `optuna.create_study`."""
        return [metric.direction for metric in self.metrics]

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the objectives, in the order of the values."""
        return tuple(metric.name for metric in self.metrics)

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Evaluate one trial.

        Raises:
            optuna.TrialPruned: The study's pruner stopped it.
            SpaceMismatchError: The study was made with another space.
            StudyMismatchError: The study was made for another task.
        """
        started = time.perf_counter()
        own(trial)
        try:
            reference = self.bind(trial.study)
        except JobInterruptedError:
            return self._fail(trial, INTERRUPTED)
        genotype = self.space.suggest(trial)
        try:
            graph = self.space.graph(genotype)
        except Exception as error:  # a user's own block may raise anything
            return self._fail(trial, describe(error)[0])
        known = self._known(trial.study, identity := self.space.identity(genotype))
        if known is not None:
            return self._take_over(trial, known, started)
        record = TrialRecord(
            canonical_id=graph.canonical_id,
            identity=identity,
            params=graph.params,
            macs=graph.macs,
            peak_activation_bytes=graph.peak_activation_bytes,
        )
        attempt = Attempt(trial, genotype, graph, record, started)
        try:
            return self._evaluate(attempt, reference)
        except JobInterruptedError:
            return self._fail(trial, INTERRUPTED)
        except JobError as error:
            attempt.save()
            return self._fail(trial, error.reason, error.details)
        except ProfilingError as error:  # the table has nothing like one of its operations
            attempt.save()
            return self._fail(trial, str(error))

    def close(self) -> None:
        """End the worker processes; a later trial starts new ones."""
        self.evaluator.close()

    def interrupt(self) -> None:
        """End running trials, from another thread or a signal handler; they are FAILed."""
        self.evaluator.interrupt(INTERRUPTED)

    def __enter__(self) -> NASObjective:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _evaluate(self, attempt: Attempt, reference: float | None) -> float | tuple[float, ...]:
        measured: dict[str, float] = {
            "params": attempt.graph.params,
            "macs": attempt.graph.macs,
            "peak_activation_bytes": attempt.graph.peak_activation_bytes,
        }
        with self.evaluator.lend() as candidate:
            if reference is not None:
                profile = candidate.latency(attempt.graph, reference)
                measured["latency_ms"] = profile.calibrated_ms
                measured["size_bytes"] = profile.size_bytes
                attempt.learn(latency=profile.to_dict(), latency_s=profile.seconds)
            if self.latency_table is not None:
                measured["latency_ms"] = self.latency_table.predict(attempt.graph)
            attempt.learn(latency_ms=measured.get("latency_ms"))
            violations = self.limits.violations(measured)
            for name, violation in violations.items():
                attempt.trial.set_constraint(name, violation)
            if any(violation > 0 for violation in violations.values()):
                guesses = {
                    m.name: m.untrained(self.data.classes) for m in self.metrics if m.trained
                }
                return self._finish(attempt, {**measured, **guesses})
            if any(metric.trained for metric in self.metrics):
                plan = self.plan.override(self.space.training(attempt.genotype))
                reporter = Reporter(attempt.trial, self.metrics, measured, plan.epochs)
                training = candidate.train(attempt.graph, plan, reporter.epoch)
                attempt.learn(curve=training.curve, train_s=training.seconds)
                if reporter.pruned_at is not None:
                    attempt.save()
                    raise optuna.TrialPruned(f"pruned after epoch {reporter.pruned_at}")
                if training.diverged:
                    attempt.save()
                    return self._fail(attempt.trial, "training diverged: the loss is not finite")
                reporter.save()
                attempt.learn(accuracy=training.value("val_accuracy"))
                for metric in self.metrics:
                    if metric.curve is not None:
                        measured[metric.name] = metric.of_curve(training.value(metric.curve))
        return self._finish(attempt, measured)

    def _finish(self, attempt: Attempt, measured: Mapping[str, float]) -> float | tuple[float, ...]:
        values = tuple(float(measured[metric.name]) for metric in self.metrics)
        attempt.save()
        for metric, value in zip(self.metrics, values, strict=True):
            if not math.isfinite(value):
                return self._fail(attempt.trial, f"{metric.name} is {value}, not a finite number")
        return values if len(values) > 1 else values[0]

    def _fail(
        self, trial: optuna.Trial, reason: str, details: str = ""
    ) -> float | tuple[float, ...]:
        trial.set_user_attr(FAILURE, reason)
        _logger.warning("Trial %d failed: %s", trial.number, reason)
        if details:
            _logger.debug("Trial %d: %s", trial.number, details)
        # Optuna fails a trial whose value is not a number and goes on, without ``catch=``.
        nan = float("nan")
        return (nan,) * len(self.metrics) if len(self.metrics) > 1 else nan

    def _known(self, study: Study, identity: str) -> FrozenTrial | None:
        if not self._reuse:
            return None
        for trial in reversed(trials_of(study)):
            if trial.state == TrialState.COMPLETE and record_of(trial).identity == identity:
                return trial
        return None

    def _take_over(
        self, trial: optuna.Trial, known: FrozenTrial, started: float
    ) -> float | tuple[float, ...]:
        record = record_of(known)
        origin = known.number if record.reused_from is None else record.reused_from
        # What it cost, and its curve, belong to the trial that trained it.
        seconds = {"total": time.perf_counter() - started}
        save_record(
            trial, replace(record, curve={}, latency=None, seconds=seconds, reused_from=origin)
        )
        for name, violation in known.constraints.items():
            trial.set_constraint(name, violation)
        values = tuple(known.values)
        return values if len(values) > 1 else values[0]

    def bind(self, study: Study) -> float | None:
        """Tie a study to this task; later, check that it is still the same. Trials do it anyway.

        Returns:
            Time of the latency anchor in milliseconds, measured once a study; None where
            nothing is to be measured.

        Raises:
            SpaceMismatchError: The study was made with another space.
            StudyMismatchError: The study was made for another task.
        """
        key = (id(study._storage), study._study_id)
        with self._lock:
            if key not in self._anchors:
                self.check(study)
                self._anchors[key] = self._anchor(study)
            return self._anchors[key]

    def check(self, study: Study) -> None:
        """Tie a study to this task like `bind`, but without measuring anything."""
        limits = {"max_latency_ms": self.limits.latency_ms, "max_params": self.limits.params}
        task = {"data": self.data.fingerprint, **self.plan.to_dict(), **limits}
        if self.device is not None:
            task["device"] = shlex.join(self.device)
        facts = {}
        if self.latency_table is not None:
            task["latency_table"] = sha256(self.latency_table.to_json().encode()).hexdigest()[:16]
            where = self.latency_table.provenance.get("cpu", "an unknown device")
            facts["latencies of trials"] = f"predicted by a table of {where}"
        bind_study(study, space=self.space, metrics=self.metrics, task=task, facts=facts)

    def _anchor(self, study: Study) -> float | None:
        timed = "latency_ms" in self.objectives or self.limits.latency_ms is not None
        if "size_bytes" not in self.objectives and (not timed or self.latency_table is not None):
            return None
        milliseconds = anchor_of(study)
        if milliseconds is None:
            with self.evaluator.lend() as candidate:
                milliseconds = candidate.anchor()
            save_anchor(study, milliseconds)
        return milliseconds


def _check_fit(space: SearchSpace, data: Dataset) -> None:
    if tuple(space.input_shape) != data.input_shape or space.classes != data.classes:
        raise NASError(
            f"space {space.name!r} is for inputs of shape {tuple(space.input_shape)} and "
            f"{space.classes} classes, but {data.name} has {data.input_shape} and {data.classes}: "
            "make the space with input_shape=data.input_shape and classes=data.classes",
            data.input_shape,
        )
