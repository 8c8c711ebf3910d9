"""Discarding all but the best trials after a few epochs: the simple rival."""

from __future__ import annotations

import math

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._arguments import check_count, check_share


class DiscardPruner(BasePruner):
    """Judge each trial once, at one step, and let only the best go on.

    "i-epoch" discards all trials but the best after as few epochs as the noise allows, and was
    found to keep up with far more elaborate schemes (Egele et al. 2023, "Is One Epoch All You Need
    For Multi-Fidelity Hyperparameter Optimization?", arXiv:2307.15422). There all trials stop at
    the step and the best few are then trained on. Here trials come one after the other: one goes on
    when it is in the top fraction of all trials that reached the step before it, itself included.

    Nothing is stored; a trial is judged at its first report at the step or later, and not again.

    Args:
        step: The step of the judgement, as given to ``trial.report``.
        keep: The share of trials that goes on; the best so far always does.
        n_startup_trials: So many trials go on whatever they report.

    Raises:
        ValueError: An argument has no meaning.
    """

    def __init__(self, step: int = 1, *, keep: float = 0.1, n_startup_trials: int = 1) -> None:
        check_count("step", step, least=0)
        check_share("keep", keep)
        check_count("n_startup_trials", n_startup_trials, least=0)
        self._step = step
        self._keep = keep
        self._n_startup_trials = n_startup_trials

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Judge a trial by what it reported; see `optuna.pruners.BasePruner`."""
        if sum(step >= self._step for step in trial.intermediate_values) != 1:
            return False
        sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
        mine = self._loss(trial, sign)
        rivals = [
            loss
            for rival in study.get_trials(deepcopy=False)
            if rival.number < trial.number
            and rival.state != TrialState.FAIL
            and (loss := self._loss(rival, sign)) is not None
        ]
        if mine is None or len(rivals) < self._n_startup_trials:
            return False
        better = sum(loss <= mine for loss in rivals)
        return math.isinf(mine) or better >= math.ceil(self._keep * (len(rivals) + 1))

    def _loss(self, trial: FrozenTrial, sign: float) -> float | None:
        """First report at the step or later, smaller is better; None before. NaN is the worst."""
        steps = [step for step in trial.intermediate_values if step >= self._step]
        if not steps:
            return None
        loss = sign * trial.intermediate_values[min(steps)]
        return math.inf if math.isnan(loss) else loss
