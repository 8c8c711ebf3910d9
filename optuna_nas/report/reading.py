"""A study read once: what every part of the report looks at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import TrialRecord, objectives_of, record_of, violation_of


@dataclass(frozen=True)
class StudyReading:
    """Trials of a study with the names and directions of its objectives.

    Args:
        study: The study read.
        objectives: Name of each objective.
        maximize: For each objective whether more is better.
        trials: All trials in order of their numbers.
        records: The record of each trial, in the same order.
        front: Numbers of the feasible complete trials that no feasible trial dominates.
    """

    study: optuna.Study
    objectives: tuple[str, ...]
    maximize: tuple[bool, ...]
    trials: tuple[FrozenTrial, ...]
    records: tuple[TrialRecord, ...]
    front: frozenset[int]

    @cached_property
    def complete(self) -> tuple[FrozenTrial, ...]:
        """Trials with values."""
        return tuple(t for t in self.trials if t.state == TrialState.COMPLETE)

    @cached_property
    def feasible(self) -> tuple[FrozenTrial, ...]:
        """Trials with values that break no constraint."""
        return tuple(t for t in self.complete if not violation_of(t))

    def values(self, trial: FrozenTrial) -> tuple[float, ...]:
        """Values of a complete trial, one an objective."""
        return tuple(trial.values or ())

    def losses(self, trial: FrozenTrial) -> tuple[float, ...]:
        """Values of a complete trial, signed so that less is better."""
        signs = zip(self.values(trial), self.maximize, strict=True)
        return tuple(-value if more else value for value, more in signs)

    def record(self, trial: FrozenTrial) -> TrialRecord:
        """The record of one of `trials`."""
        return self.records[trial.number]


def read_study(study: optuna.Study) -> StudyReading:
    """Read all trials of a study and the names of its objectives."""
    trials = study.get_trials(deepcopy=False)
    return StudyReading(
        study=study,
        objectives=objectives_of(study),
        maximize=tuple(d == StudyDirection.MAXIMIZE for d in study.directions),
        trials=tuple(trials),
        records=tuple(map(record_of, trials)),
        front=frozenset(trial.number for trial in study.best_trials),
    )
