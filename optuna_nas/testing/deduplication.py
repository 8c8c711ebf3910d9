"""No architecture is evaluated twice while there are others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState

from optuna_nas.testing.objectives import (
    ARCHITECTURES,
    architecture_of,
    deep_objective,
    large_objective,
    small_objective,
)
from optuna_nas.testing.suite import SamplerSuite, StudyFactory


def repetitions(study: Study) -> int:
    """Number of trials whose parameters an earlier trial had."""
    return len(study.trials) - len({architecture_of(trial) for trial in study.trials})


class DeduplicationPromises(SamplerSuite):
    """Trials that are finished, failed or running are not proposed again."""

    # Repetitions out of 150 trials that are allowed in `deep_objective`, where nobody can know what
    # the first trials will ask for.
    MAX_REPETITIONS = 3

    def test_finished_trials_are_not_proposed_again(self, make_study: StudyFactory) -> None:
        """150 trials out of 65,536 architectures are different ones."""
        study = make_study(0)
        study.optimize(large_objective, n_trials=150)
        assert repetitions(study) == 0, f"{repetitions(study)} of 150 trials repeat an earlier one"

    def test_conditional_trials_are_not_proposed_again(self, make_study: StudyFactory) -> None:
        """Trials that differ in decisions nobody asks for are equal: 150 out of 9,840."""
        study = make_study(0)
        study.optimize(deep_objective, n_trials=150)
        repeated = repetitions(study)
        assert repeated <= self.MAX_REPETITIONS, f"{repeated} of 150 trials repeat an earlier one"

    def test_failed_architectures_are_not_drawn_again(self, make_study: StudyFactory) -> None:
        """What raised an error once is not tried again."""
        study = make_study(0)
        for params in ({"edge0": 3}, {"edge0": 2}):
            study.enqueue_trial({**{f"edge{i}": 3 for i in range(8)}, **params})

        def objective(trial: Trial) -> float:
            value = large_objective(trial)
            if value > 20:
                raise RuntimeError("out of memory")
            return value

        study.optimize(objective, n_trials=150, catch=(RuntimeError,))
        failed = [architecture_of(t) for t in study.trials if t.state == TrialState.FAIL]
        again = len(failed) - len(set(failed))
        assert again == 0, f"{again} of {len(failed)} failures had failed before"

    @pytest.mark.parametrize(
        "objective", [large_objective, deep_objective], ids=["flat", "conditional"]
    )
    def test_running_trials_are_not_proposed_again(
        self, make_study: StudyFactory, objective: Callable[[Trial], float]
    ) -> None:
        """30 trials asked for at once differ from each other and from those before."""
        study = make_study(0)
        study.optimize(objective, n_trials=40)
        before = repetitions(study)
        for trial in [study.ask() for _ in range(30)]:
            objective(trial)
        repeated = repetitions(study) - before
        assert repeated <= (0 if objective is large_objective else self.MAX_REPETITIONS), (
            f"{repeated} of 30 trials under way repeat another one"
        )

    def test_exhausted_space_does_not_spin(self, make_study: StudyFactory) -> None:
        """A space of 12 architectures is searched to its end, and the study goes on."""
        study = make_study(0)
        study.optimize(small_objective, n_trials=5 * ARCHITECTURES)
        assert len(study.trials) == 5 * ARCHITECTURES
        assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
        assert study.best_value == 4
        missed = ARCHITECTURES - len({architecture_of(trial) for trial in study.trials})
        assert missed == 0, f"{missed} of {ARCHITECTURES} architectures were never tried"
