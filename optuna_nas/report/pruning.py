"""What pruning saved, and what it may have cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import CurveRecord, curve_of
from optuna_nas.report.leaderboard import epochs_of
from optuna_nas.report.reading import StudyReading


@dataclass(frozen=True)
class PruningCost:
    """The balance of pruning.

    Args:
        pruned: Number of pruned trials.
        spent: Steps of all finished trials.
        saved: Steps the pruned trials were spared.
        chance: Probability that at least one pruned trial would have been better than the best
            known, as a `LearningCurvePruner` believed; None where no prediction was kept.
        regret: Expected improvement of the best value that was missed, in the unit of the
            objective; None with several objectives or without predictions.
    """

    pruned: int
    spent: float
    saved: float
    chance: float | None
    regret: float | None

    @property
    def share(self) -> float:
        """Saved steps, as a share of all there would have been."""
        return self.saved / (self.spent + self.saved) if self.saved else 0.0


def pruning_cost_of(reading: StudyReading) -> PruningCost | None:
    """Add up what pruning did to a study; None where nothing was pruned."""
    finished = [trial for trial in reading.trials if trial.state.is_finished()]
    pruned = [trial for trial in finished if trial.state == TrialState.PRUNED]
    if not pruned:
        return None
    steps = {trial.number: last_step_of(reading, trial) for trial in finished}
    full = max((steps[t.number] for t in finished if t.state == TrialState.COMPLETE), default=0.0)
    records = {trial.number: curve_of(trial) or CurveRecord() for trial in pruned}
    saved = sum(max(0.0, (records[n].max_step or full) - steps[n]) for n in records)
    chances = [r.probability for r in records.values() if r.probability is not None]
    return PruningCost(
        pruned=len(pruned),
        spent=sum(steps.values()),
        saved=saved,
        # Of independent trials; each chance is that at the time, and the best has risen since.
        chance=1.0 - math.prod(1.0 - chance for chance in chances) if chances else None,
        regret=_regret(reading, list(records.values())),
    )


def last_step_of(reading: StudyReading, trial: FrozenTrial) -> float:
    """Last step a trial reported; its epochs where it reported none."""
    if trial.last_step is not None:
        return float(trial.last_step)
    record = curve_of(trial)
    if record is not None and record.steps:
        return float(record.steps[-1])
    return float(epochs_of(reading.record(trial)) or 0)


def _regret(reading: StudyReading, records: list[CurveRecord]) -> float | None:
    """Sum of the expected improvements of the pruned trials on the best: an upper bound."""
    if len(reading.maximize) > 1 or not reading.feasible:
        return None
    sign = -1.0 if reading.maximize[0] else 1.0
    best = min(reading.losses(trial)[0] for trial in reading.feasible)
    improvements = [
        _expected_improvement(best - sign * record.predicted[0], record.std[0])
        for record in records
        if record.predicted and record.std
    ]
    return sum(improvements) if improvements else None


def _expected_improvement(gain: float, std: float) -> float:
    """E max(0, X) of X ~ N(gain, std²) (Jones et al. 1998, equation 15)."""
    if std <= 0.0:
        return max(0.0, gain)
    z = gain / std
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return gain * 0.5 * math.erfc(-z / math.sqrt(2.0)) + std * density
