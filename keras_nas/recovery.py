"""Going on after an end that nobody planned: what was running is failed, and tried again."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from keras_nas.objective import INTERRUPTED
from optuna_nas._optuna import (
    FAILURE,
    OWNER,
    RETRY_OF,
    fail_stale_trials,
    fail_trial,
    planned_params,
)

LOST = "lost: its search ended without a result"
UNOWNED_SECONDS = 600.0


def recover(study: Study, *, exclusive: bool) -> list[int]:
    """Fail trials whose search is gone, and enqueue their parameters once more.

    Args:
        study: The study.
        exclusive: Nobody else can be at work in it, so whatever is running is lost. Otherwise only
            trials of processes of this machine that are known to be gone are.

    Returns:
        Numbers of the trials that were lost.
    """
    running = {
        trial.number: trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    }
    if exclusive:
        lost = [number for number, trial in running.items() if fail_trial(study, trial, LOST)]
    else:
        lost = fail_stale_trials(study, unowned_after=UNOWNED_SECONDS)
    for number in lost:
        if number in running:
            retry(study, running[number])
    return lost


def retry(study: Study, trial: FrozenTrial) -> None:
    """Enqueue what a trial had decided; one that had not decided anything is simply forgotten."""
    params = planned_params(trial)
    if params:
        study.enqueue_trial(params, user_attrs={RETRY_OF: trial.number})


def was_lost(trial: FrozenTrial) -> bool:
    """Whether a failed trial says nothing about its candidate: its search was ended."""
    if trial.state != TrialState.FAIL:
        return False
    reason = str(trial.user_attrs.get(FAILURE, ""))
    # Trials that a process died on before it could note itself have no owner and no reason.
    return reason.startswith((INTERRUPTED, LOST, "its process")) or (
        not reason and OWNER not in trial.user_attrs
    )


def finished(study: Study) -> list[FrozenTrial]:
    """Trials that count: finished, and not lost."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and not was_lost(trial)
    ]
