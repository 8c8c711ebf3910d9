"""A Keras callback that reports epochs to Optuna and stops hopeless trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from keras_nas._keras import keras
from optuna_nas.pruners import CurveRecorder, LearningCurvePruner


class LearningCurveCallback(keras.callbacks.Callback):
    """Report a metric to a trial after every epoch of ``model.fit``, and prune the trial.

    With one objective any of Optuna's pruners works. With several, for which Optuna takes no
    reports, the curve is kept with the trial, which is pruned when an
    `optuna_nas.pruners.LearningCurvePruner` finds that it will hardly join the Pareto front; see
    `optuna_nas.pruners.CurveRecorder`. Epochs count from 1.

    Args:
        trial: The running trial. With a frozen one (``study.best_trial``) nothing happens.
        monitor: Name of the metric in Keras's logs; for several objectives that are learned, one
            name each, in the order of the objectives.
        known: Values of the objectives that are certain before training, by name or index.
        pruner: Decides for several objectives; by default the study's, if it is a
            `LearningCurvePruner`.

    Raises:
        optuna.TrialPruned: From ``model.fit``, when the trial should stop.
        ValueError: From ``model.fit``, if there is no such metric.

    Example:
        ::

            def objective(trial):
                model = build_model(space.graph(space.suggest(trial)))
                model.compile("adam", loss, metrics=["accuracy"])
                callback = LearningCurveCallback(trial, "val_accuracy", known={"params": params})
                history = model.fit(..., epochs=20, callbacks=[callback])
                return history.history["val_accuracy"][-1], params
    """

    def __init__(
        self,
        trial: optuna.trial.BaseTrial,
        monitor: str | Sequence[str] = "val_accuracy",
        *,
        known: Mapping[str | int, float] | None = None,
        pruner: LearningCurvePruner | None = None,
    ) -> None:
        super().__init__()
        self._trial = trial
        self._monitors = (monitor,) if isinstance(monitor, str) else tuple(monitor)
        self._known = known
        self._pruner = pruner
        self._recorder: CurveRecorder | None = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """The horizon of the curve is the number of epochs ``fit`` was given."""
        self._recorder = CurveRecorder(
            self._trial,
            known=self._known,
            max_step=(self.params or {}).get("epochs"),
            pruner=self._pruner,
        )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report, and ask."""
        assert self._recorder is not None
        logs = logs or {}
        missing = [name for name in self._monitors if name not in logs]
        if missing:
            raise ValueError(
                f"monitor: Keras logs no {', '.join(missing)}, only {', '.join(logs)}. Metrics are "
                "named in model.compile; those with val_ need validation_data in model.fit."
            )
        self._recorder.report([float(logs[name]) for name in self._monitors], epoch + 1)
        if self._recorder.should_prune():
            raise optuna.TrialPruned(f"Trial was pruned after epoch {epoch + 1}.")

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Keep the curve, for other trials to learn from."""
        assert self._recorder is not None
        self._recorder.save()
