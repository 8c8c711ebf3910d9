"""`OptunaTuner`: a Keras Tuner whose trials are those of an Optuna study."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study

from keras_nas._keras_tuner import keras_tuner
from keras_nas.before_training import BeforeTraining, Measures, RejectedError
from keras_nas.heartbeat import Heartbeat
from keras_nas.hypermodel import NASHyperModel
from keras_nas.latency_scale import shared_reference_ms
from keras_nas.limits import Limits
from keras_nas.oracle import CONSTRAINT_PREFIX, EPOCH_PREFIX, KNOWN_PREFIX, OptunaOracle
from keras_nas.tuner_arguments import check_pruner, with_directions

# Pause of a worker before it asks again for a trial when there was none for it.
_IDLE_SECONDS = 0.5
# Signs of life a worker gives within the patience that its chief has.
_BEATS = 4


class OptunaTuner(keras_tuner.Tuner):
    """Search hyperparameters with Keras Tuner, led by Optuna.

    ``keras_tuner.RandomSearch(build, objective=..., max_trials=...)`` becomes
    ``OptunaTuner(build, objective=..., max_trials=..., sampler=...)``; all else stays as it is.

    - Every trial is one of the Optuna study `study`: any sampler, any storage, dashboards, and
      trials run by ``study.optimize`` beside them.
    - A pruner is asked after every epoch. A pruned trial stops training there, its further
      executions are left out, and what it reached stays its score.
    - ``latency_ms``, ``size_bytes``, ``params``, ``macs`` and ``peak_activation_bytes`` may be
      objectives. They are measured of each trial's model before it is trained, the latency as
      `optuna_nas.profiling` does, without the preprocessing and softmax a later export may add. A
      model that passes a limit is rejected before its first epoch; it costs a trial, and is no
      failure.
    - Several objectives are a Pareto front, not a sum; `get_best_models` begins with it.

    In Keras Tuner's distributed mode the study lives with the chief, and the workers' folder must
    be shared, as always.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, a function of the hyperparameters that returns a
            compiled model, or a `NASHyperModel`.
        objective: Name of a metric of Keras or of those above, a `keras_tuner.Objective`, or a
            list of them.
        max_trials: Most trials; None: until the space is exhausted.
        sampler: An Optuna sampler; None: Optuna's default.
        pruner: An Optuna pruner; None: nothing is pruned. With several objectives only a
            `LearningCurvePruner`.
        study: An existing study to take part in, in place of `storage` and `study_name`.
        storage: Optuna storage in which the study is made, or found again.
        study_name: Its name there; without a storage, the project's unless given.
        seed: Of the sampler, where that is left to Optuna; 0 is a seed.
        max_latency_ms: Limit of the latency in milliseconds.
        max_params: Limit of the trainable parameters.
        max_macs: Limit of the multiply-accumulates for one input.
        max_size_bytes: Limit of the exported file.
        latency_seconds: Most seconds spent timing one model.
        hyperparameters: As for any tuner.
        tune_new_entries: As for any tuner.
        allow_new_entries: As for any tuner.
        max_retries_per_trial: As for any tuner.
        max_consecutive_failed_trials: As for any tuner.
        patience: Seconds of silence after which a worker is taken for dead, and its trial goes to
            another one.
        **kwargs: As for any tuner: ``directory``, ``project_name``, ``overwrite``,
            ``executions_per_trial``, ``max_model_size``, ``optimizer``, ``loss``, ``metrics``,
            ``distribution_strategy``, ``tuner_id``.

    Raises:
        TunerError: Arguments do not go together.
        ProfilingError: A latency is asked for, and ONNX Runtime is missing.

    Example:
        ::

            tuner = OptunaTuner(
                build,
                objective=["val_accuracy", "latency_ms"],
                max_trials=50,
                sampler=optuna.samplers.NSGAIISampler(),
                directory="results",
            )
            tuner.search(x, y, epochs=10, validation_data=(x_val, y_val))
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        sampler: BaseSampler | None = None,
        pruner: BasePruner | None = None,
        study: Study | None = None,
        storage: str | BaseStorage | None = None,
        study_name: str | None = None,
        seed: int | None = None,
        max_latency_ms: float | None = None,
        max_params: int | None = None,
        max_macs: int | None = None,
        max_size_bytes: int | None = None,
        latency_seconds: float = 0.3,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        patience: float = 60.0,
        **kwargs: Any,
    ) -> None:
        objectives = with_directions(objective)
        check_pruner(pruner, objectives)
        listed = objectives if isinstance(objectives, list) else [objectives]
        names: set[Any] = {getattr(one, "name", one) for one in listed}
        self.limits = Limits(max_latency_ms, max_params, max_macs, max_size_bytes)
        self._measures = Measures(names, self.limits, latency_seconds)
        self._attempt: _Attempt | None = None
        self._waiting = False
        self._patience = patience
        if study is None and storage is None:
            study_name = study_name or kwargs.get("project_name")  # for reports
        oracle = OptunaOracle(
            objective=objectives,
            max_trials=max_trials,
            study=study,
            sampler=sampler,
            pruner=pruner,
            storage=storage,
            study_name=study_name,
            space=hypermodel.space if isinstance(hypermodel, NASHyperModel) else None,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            patience=patience,
        )
        super().__init__(oracle, hypermodel, **kwargs)

    @property
    def study(self) -> Study | None:
        """The Optuna study; None on a worker, for it lives with the chief."""
        return getattr(self.oracle, "study", None)

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Search; arguments are those of ``model.fit``, as for any tuner.

        Interrupted with Ctrl-C, it leaves no running trial in the study, and goes on when it is
        called again.
        """
        if self._measures.is_timed and not self._is_worker():
            shared_reference_ms(self.project_dir, self.study)  # the workers will look for it
        try:
            super().search(*fit_args, **fit_kwargs)
        except BaseException:
            if not self._is_worker():
                self.oracle.interrupt()
            raise

    def load_model(self, trial: Any) -> Any:
        """The model of a trial with the weights of its best epoch, and a new optimizer."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            return super().load_model(trial)

    def pre_create_trial(self) -> None:
        """Wait a little where there was no trial for this tuner a moment ago."""
        if self._waiting:
            time.sleep(_IDLE_SECONDS)
        self._waiting = True

    def on_epoch_end(
        self, trial: Any, model: Any, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Report the epoch to the study, and stop the training where its pruner says so."""
        super().on_epoch_end(trial, model, epoch, logs)
        attempt = self._attempt_at(trial)
        if epoch <= attempt.epoch:
            return  # a later execution: pruners saw this epoch in the first
        attempt.epoch = epoch
        # A metric may have one value a class, of which a study can make nothing.
        values = {
            EPOCH_PREFIX + name: np.asarray(value).item()
            for name, value in (logs or {}).items()
            if np.size(value) == 1
        }
        answer = self.oracle.update_trial(trial.trial_id, values, step=epoch + 1)
        if answer.status == "STOPPED":
            attempt.pruned = True
            model.stop_training = True

    def _try_run_and_update_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> None:
        self._waiting = False
        self._attempt = _Attempt(trial.trial_id)
        with self._heartbeat():
            super()._try_run_and_update_trial(trial, *fit_args, **fit_kwargs)

    def _heartbeat(self) -> AbstractContextManager[Any]:
        if not self._is_worker():
            return nullcontext()
        # Asked again by who has a trial, the chief answers with that trial.
        return Heartbeat(partial(self.oracle.create_trial, self.tuner_id), self._patience / _BEATS)

    def _run_and_update_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> None:
        with suppress(RejectedError):  # no failure: the study knows which limit was passed
            super()._run_and_update_trial(trial, *fit_args, **fit_kwargs)

    def _build_and_fit_model(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        attempt = self._attempt_at(trial)
        if attempt.pruned:
            return attempt.results  # in place of further executions, and so the mean stays
        if self._measures.names:
            first = BeforeTraining(partial(self._measure, trial))
            kwargs["callbacks"] = [first, *kwargs.get("callbacks", [])]
        attempt.results = super()._build_and_fit_model(trial, *args, **kwargs)
        if self._measures.names and attempt.known is None:
            raise keras_tuner.errors.FatalTypeError(
                f"callbacks: {', '.join(self._measures.names)} are measured by a callback, and the "
                "hypermodel's fit called none. Hand the callbacks it is given on to model.fit."
            )
        return attempt.results

    def _measure(self, trial: Any, model: Any) -> Mapping[str, float]:
        """What is known of a trial's model before training, told to the study once."""
        attempt = self._attempt_at(trial)
        if attempt.known is None:
            timed = self._measures.is_timed
            reference = shared_reference_ms(self.project_dir, self.study) if timed else None
            values, violations = self._measures.of(model, reference)
            metrics = {KNOWN_PREFIX + name: value for name, value in values.items()}
            metrics |= {CONSTRAINT_PREFIX + name: value for name, value in violations.items()}
            self.oracle.update_trial(trial.trial_id, metrics, step=0)
            attempt.known = values
            if any(violation > 0 for violation in violations.values()):
                raise RejectedError
        return attempt.known

    def _attempt_at(self, trial: Any) -> _Attempt:
        if self._attempt is None or self._attempt.trial_id != trial.trial_id:
            self._attempt = _Attempt(trial.trial_id)  # somebody called `run_trial` themselves
        return self._attempt

    def _configure_tensorboard_dir(
        self, callbacks: Sequence[Any], trial: Any, execution: int = 0
    ) -> None:
        # Keras Tuner imports TensorBoard for every trial, and TensorFlow no longer brings it.
        if any(type(callback).__name__ == "TensorBoard" for callback in callbacks):
            try:
                super()._configure_tensorboard_dir(callbacks, trial, execution)
            except ModuleNotFoundError as error:
                raise keras_tuner.errors.FatalRuntimeError(
                    "callbacks: the TensorBoard callback needs the package tensorboard, which is "
                    "not installed: pip install tensorboard, or leave the callback out."
                ) from error


@dataclass
class _Attempt:
    """One run of a trial.

    Args:
        trial_id: Of Keras Tuner.
        epoch: The last epoch reported, counted from 0.
        pruned: Whether it is to stop.
        known: What was measured before training.
        results: What the last execution returned.
    """

    trial_id: str
    epoch: int = -1
    pruned: bool = False
    known: Mapping[str, float] | None = None
    results: Any = None
