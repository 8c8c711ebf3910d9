"""What a pruner knows of a study, kept up to date as trials finish."""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import curve_of, violation_of
from optuna_nas.curves.curve import LARGEST
from optuna_nas.pruners._chance import with_point

Array = NDArray[np.float64]

PEERS = 40  # finished curves that are learned from, and as many stopped ones to compare with


@dataclass(frozen=True, eq=False)
class LossCurve:
    """Reports of one trial, smaller is better.

    Attributes:
        steps: Shape ``(n,)``, strictly increasing.
        losses: Shape ``(n, objectives)``; NaN and infinities as they were reported.
    """

    steps: Array
    losses: Array

    @property
    def last_step(self) -> float:
        """The last step; the curve has one."""
        return float(self.steps[-1])

    def sound(self) -> NDArray[np.bool_]:
        """Which reports are numbers to reckon with, shape ``(n,)``."""
        return np.asarray(np.all(np.abs(self.losses) < LARGEST, axis=1))

    def of(self, objective: int, horizon: float) -> tuple[Array, Array]:
        """Steps and losses of one objective, as a finished trial tells others of the horizon.

        A trial that ended before the horizon when it had not improved for some time was ended for
        that reason, by a patience: its last loss then stands for its loss at the horizon. One
        that was still improving may have been meant to be short, and says nothing of it.
        """
        losses = self.losses[:, objective]
        waited = max(2, math.ceil(len(losses) / 5))
        if self.last_step >= horizon or np.nanargmin(losses) >= len(losses) - waited:
            return self.steps, losses
        return np.append(self.steps, horizon), np.append(losses, losses[-1])

    def at(self, step: float) -> Array | None:
        """Losses ``(objectives,)`` reported at the step or last before it; None if not reached."""
        if len(self.steps) == 0 or step > self.steps[-1] or step < self.steps[0]:
            return None
        losses: Array = self.losses[int(np.searchsorted(self.steps, step, side="right")) - 1]
        return losses


class StudyCurves:
    """The curves and the bests of one study. Each finished trial is read once.

    A bounded number of curves is kept: those of the trials that finished last, for the trials to
    come resemble them most.

    Args:
        directions: One an objective.
    """

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self.signs: Array = np.array(
            [-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in directions]
        )
        self.completed: deque[LossCurve] = deque(maxlen=PEERS)
        self.stopped: deque[LossCurve] = deque(maxlen=PEERS)
        self.completions = 0  # complete trials with a curve
        self.front: Array = np.empty((0, len(directions)))
        self.spent = 0.0  # steps of all finished trials
        self.longest = 0.0  # last step of a complete trial
        self._ranked: list[float] = []  # final losses of complete trials, of a single objective
        self._stops = 0
        self._open: set[int] = set()
        self._next = 0  # number of the first trial not seen yet

    def update(self, trials: Sequence[FrozenTrial]) -> list[int]:
        """Take in the trials that have finished since; returns their numbers."""
        finished = []
        for number in [*self._open, *range(self._next, len(trials))]:
            if number >= len(trials):  # another thread has seen more
                continue
            if trials[number].state.is_finished():
                self._open.discard(number)
                finished.append(trials[number])
            else:
                self._open.add(number)
        self._next = max(self._next, len(trials))
        for trial in sorted(finished, key=_age):
            self._absorb(trial)
        return [trial.number for trial in finished]

    def top(self, fraction: float) -> Array:
        """What a trial has to join: the front, or the worst of the top fraction.

        Args:
            fraction: Above 0 of a single objective only: of all finished trials, counting stopped
                ones as worse.

        Returns:
            Shape ``(k, objectives)``; empty where every trial is good enough.
        """
        if fraction == 0.0:
            return self.front
        place = self.places(fraction)
        worst = self._ranked[place - 1 : place]
        return np.array(worst).reshape(-1, 1)

    def places(self, fraction: float) -> int:
        """How many trials are good enough: the size of the front, or of the top fraction."""
        if fraction == 0.0:
            return len(self.front)
        return max(1, math.ceil(fraction * (len(self._ranked) + self._stops + 1)))

    def curve(self, trial: FrozenTrial) -> LossCurve:
        """What a trial reported, to Optuna or to a recorder."""
        record = curve_of(trial)
        if record is not None and len(record.steps):
            return self.read(record.steps, record.values)
        if len(self.signs) > 1 or not trial.intermediate_values:
            return LossCurve(np.empty(0), np.empty((0, len(self.signs))))
        steps = sorted(trial.intermediate_values)
        return self.read(steps, [[trial.intermediate_values[step] for step in steps]])

    def read(self, steps: Sequence[int], values: Sequence[Sequence[float] | float]) -> LossCurve:
        """Reports as losses.

        Args:
            steps: Shape ``(n,)``, strictly increasing.
            values: One sequence of ``n`` values an objective, or the number that is known of it.
        """
        losses = np.empty((len(steps), len(self.signs)))
        for column, of_objective in enumerate(values):
            losses[:, column] = of_objective
        return LossCurve(np.array(steps, dtype=float), losses * self.signs)

    def _absorb(self, trial: FrozenTrial) -> None:
        curve = self.curve(trial)
        if len(curve.steps):
            self.spent += curve.last_step
        if trial.state == TrialState.PRUNED:
            self._stops += 1
            if len(curve.steps):
                self.stopped.append(curve)
        if trial.state != TrialState.COMPLETE:
            return
        final = self._final(trial, curve)
        if final is not None and not violation_of(trial):
            self.front = with_point(self.front, final)
            if len(final) == 1:
                insort(self._ranked, float(final[0]))
        if len(curve.steps) and curve.sound()[-1]:
            self.completed.append(curve)
            self.completions += 1
            self.longest = max(self.longest, curve.last_step)

    def _final(self, trial: FrozenTrial, curve: LossCurve) -> Array | None:
        if len(self.signs) > 1:
            final: Array = np.array(trial.values) * self.signs
        elif len(curve.steps):
            # The last report rather than the trial's value, which may be measured otherwise: what
            # is predicted for the others is a report, too.
            final = curve.losses[-1]
        else:
            return None
        return final if bool(np.isfinite(final).all()) else None


def _age(trial: FrozenTrial) -> tuple[float, int]:
    completed = trial.datetime_complete
    return (0.0 if completed is None else completed.timestamp()), trial.number
