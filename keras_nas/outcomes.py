"""What trials of Keras Tuner came to, in the order of a study's objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from keras_nas.metrics import METRICS
from optuna_nas._optuna import violation_of

Direction = Literal["maximize", "minimize"]
# Keras Tuner's objective where none is given: `run_trial` or `fit` returns a number.
_UNNAMED = "default_objective"


@dataclass(frozen=True)
class Outcome:
    """What a trial came to.

    Attributes:
        values: One an objective; None of a trial that failed or was pruned.
        violation: Sum of the violated constraints.
    """

    values: tuple[float, ...] | None
    violation: float = 0.0

    @classmethod
    def of(cls, trial: FrozenTrial) -> Outcome:
        """The outcome of a finished trial of the study."""
        complete = trial.state == TrialState.COMPLETE
        return cls(tuple(trial.values) if complete else None, violation_of(trial))


def objectives_in(objective: Any) -> list[Any]:
    """The objectives of Keras Tuner that are searched for: one, or those of a list."""
    return list(getattr(objective, "objectives", [objective]))


def directions_of(objectives: Sequence[Any]) -> list[Direction]:
    """Optuna's directions of objectives of Keras Tuner."""
    return ["maximize" if one.direction == "max" else "minimize" for one in objectives]


def report_names(objectives: Sequence[Any]) -> list[str] | None:
    """Names of objectives as reports know them; None where Keras Tuner has none.

    What a report calls the accuracy is that of the validation data.
    """
    names = [one.name for one in objectives]
    return None if names == [_UNNAMED] else [_report_name(name) for name in names]


def _report_name(name: str) -> str:
    bare = name.removeprefix("val_")
    if bare not in METRICS or not METRICS[bare].trained:
        return name
    return bare if bare != name else f"training {name}"


def measured_values(metrics: Any, objective: Any) -> dict[str, float]:
    """Values of the objectives in a ``MetricsTracker``, by name; without those it does not have.

    One objective has its best value. Several have those of one step, the best by the sum that
    Keras Tuner makes of them.
    """
    histories = {
        one.name: {seen.step: float(seen.mean()) for seen in metrics.get_history(one.name)}
        for one in objectives_in(objective)
        if metrics.exists(one.name)
    }
    if len(objectives_in(objective)) == 1 or not histories:
        return {name: float(metrics.get_best_value(name)) for name in histories}
    common = set.intersection(*(set(history) for history in histories.values()))
    if not common:
        return {name: float(metrics.get_best_value(name)) for name in histories}

    def total(step: Any) -> tuple[bool, float]:
        value = objective.get_value({name: history[step] for name, history in histories.items()})
        return math.isnan(value), value

    best = min(sorted(common), key=total)
    return {name: history[best] for name, history in histories.items()}


def front(outcomes: Mapping[str, Outcome], directions: Sequence[Direction]) -> list[str]:
    """Ids of the feasible trials that no other one dominates, best in the first objective first."""
    ids = [one for one, out in outcomes.items() if out.values is not None and not out.violation]
    if not ids:
        return []
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
    losses = np.array([outcomes[one].values for one in ids]) * signs
    chosen = [
        index
        for index, loss in enumerate(losses)
        if not ((losses <= loss).all(axis=1) & (losses < loss).any(axis=1)).any()
    ]
    return [ids[index] for index in sorted(chosen, key=lambda index: losses[index].tolist())]
