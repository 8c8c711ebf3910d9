"""Keras Tuner's oracle without the traps in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from keras_nas._keras_tuner import keras_tuner


def synchronized(method: Callable[..., Any]) -> Callable[..., Any]:
    """`keras_tuner.synchronized`, whose lock is released when the method raises, too.

    Keras Tuner's never is after an exception: the next thread would wait for ever.
    """

    @wraps(method)
    def caught(*args: Any, **kwargs: Any) -> tuple[Any, BaseException | None]:
        try:
            return method(*args, **kwargs), None
        except BaseException as error:
            return None, error

    locked = keras_tuner.synchronized(caught)

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        result, error = locked(*args, **kwargs)
        if error is not None:
            raise error
        return result

    return call


class PatchedOracle(keras_tuner.Oracle):
    """A `keras_tuner.Oracle`, mended where that of Keras Tuner 1.4 goes wrong.

    - 0 is a seed.
    - A search that ended after too many failures can go on: what failed before does not end it
      again after each trial.
    - One name may stand under two conditions.
    - Reloaded after an interruption, it does not run again what is over.

    Args:
        objective: As for any oracle; a tuple is a list.
        seed: Random seed.
        **settings: As for any oracle.
    """

    def __init__(self, objective: Any = None, *, seed: int | None = None, **settings: Any) -> None:
        objective = list(objective) if isinstance(objective, tuple) else objective
        super().__init__(objective=objective, seed=seed, **settings)
        if seed is not None:
            self.seed = self._seed_state = seed

    def reload(self) -> None:
        """See `keras_tuner.Oracle`."""
        super().reload()
        # Keras Tuner saves a trial's end before it takes the trial off the running ones.
        over = [id_ for id_, one in self.trials.items() if one.status in ("COMPLETED", "FAILED")]
        self._retry_queue[:] = [id_ for id_ in self._retry_queue if id_ not in over]

    def _record_values(self, trial: Any) -> None:
        # Of a name under two conditions, Keras Tuner drops the value, or draws another one.
        hyperparameters = trial.hyperparameters
        values = dict(hyperparameters.values)
        super()._record_values(trial)
        for one in hyperparameters.space:
            if one.name in values and hyperparameters.is_active(one):
                hyperparameters.values[one.name] = values[one.name]

    def _check_consecutive_failures(self) -> None:
        # Keras Tuner counts from the first trial: a project that once had so many could not go on.
        limit = self.max_consecutive_failed_trials
        last = [self.trials[trial_id] for trial_id in self.end_order[-limit:]]
        if len(last) == limit and all(trial.status == "FAILED" for trial in last):
            raise RuntimeError(
                f"Number of consecutive failures exceeded the limit of {limit}.\n"
                f"{last[-1].message or ''}"
            )
