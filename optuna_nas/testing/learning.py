"""Trials become better than random ones, whatever there is to learn from.

Random search fails all of these tests. They ask for little: a sampler that fails one hardly uses
what it is about within 100 trials. What is judged are the ten best different trials of a study,
for samplers that explore to the end have some bad ones among the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial

from optuna_nas.testing.objectives import (
    architecture_of,
    deep_objective,
    large_objective,
    nested_objective,
)
from optuna_nas.testing.suite import SamplerSuite, StudyFactory

TRIALS = 100
BEST = 10
LATE = 30
SEEDS = (0, 1)


def studies(
    make_study: StudyFactory, objective: Callable[[Trial], Any], **arguments: Any
) -> list[list[FrozenTrial]]:
    """The trials of one study a seed."""
    trials = []
    for seed in SEEDS:
        study = make_study(seed, **arguments)
        study.optimize(objective, n_trials=TRIALS, catch=(RuntimeError,))
        trials.append(study.trials)
    return trials


def best_ten(
    trials: list[list[FrozenTrial]], value: Callable[[FrozenTrial], float | None]
) -> float:
    """Mean value of the ten best different trials, over the studies."""
    best = []
    for study in trials:
        different = {architecture_of(trial): value(trial) or 0.0 for trial in study}
        best += sorted(different.values())[-BEST:]
    return float(np.mean(best))


def edges(trial: FrozenTrial | Trial) -> float:
    """What `large_objective` returned, also for trials that were pruned."""
    return float(sum(trial.params.values()))


class LearningPromises(SamplerSuite):
    """Values, constraints, pruned and failed trials make later trials better."""

    def test_values(self, make_study: StudyFactory) -> None:
        """Good values of eight independent decisions are found."""
        reached = best_ten(studies(make_study, large_objective), edges)
        assert reached > 19.5, f"the ten best reach {reached:.1f}, random ones 17.8, at most 24"

    def test_several_objectives(self, make_study: StudyFactory) -> None:
        """With two objectives that do not conflict, trials become better in both."""

        def objective(trial: Trial) -> tuple[float, float]:
            total = large_objective(trial)
            half = float(sum(trial.params[f"edge{i}"] for i in range(4)))
            return half, half - total

        directions = ["maximize", "minimize"]
        reached = best_ten(
            studies(make_study, objective, direction=None, directions=directions), edges
        )
        assert reached > 19.5, f"the ten best reach {reached:.1f}, random ones 17.8, at most 24"

    def test_constraints_are_learned(self, make_study: StudyFactory) -> None:
        """Feasible trials become more frequent."""

        def objective(trial: Trial) -> float:
            value = large_objective(trial)
            trial.set_constraint("half", 8.0 - sum(trial.params[f"edge{i}"] for i in range(4)))
            return -value

        late = [trial for study in studies(make_study, objective) for trial in study[-LATE:]]
        share = np.mean([max(trial.constraints.values()) <= 0 for trial in late])
        assert share > 0.4, f"{share:.0%} of late trials are feasible, 26% of random ones"

    def test_pruned_trials_are_learned_from(self, make_study: StudyFactory) -> None:
        """A study in which every trial is pruned after one report gets better all the same."""

        def objective(trial: Trial) -> float:
            trial.report(large_objective(trial), step=0)
            raise optuna.TrialPruned

        reached = best_ten(studies(make_study, objective), edges)
        assert reached > 19.5, f"the ten best reach {reached:.1f}, random ones 17.8, at most 24"

    def test_failed_trials_are_learned_from(self, make_study: StudyFactory) -> None:
        """Where one choice always fails and nothing else matters, it becomes rarer."""

        def objective(trial: Trial) -> float:
            large_objective(trial)
            if trial.params["edge0"] == 3:
                raise RuntimeError("out of memory")
            return 0.0

        late = [trial for study in studies(make_study, objective) for trial in study[-LATE:]]
        share = np.mean([trial.params["edge0"] == 3 for trial in late])
        assert share < 0.17, f"{share:.0%} of late trials fail, 25% of random ones"


class ConditionalLearningPromises(SamplerSuite):
    """Decisions that exist only under some values of others are learned too."""

    def test_conditional_values(self, make_study: StudyFactory) -> None:
        """Depth and operations of up to eight layers are found together."""
        reached = best_ten(studies(make_study, deep_objective), lambda trial: trial.value)
        assert reached > 3.3, f"the ten best reach {reached:.1f}, random ones 2.4, at most 4.1"

    def test_nested_values(self, make_study: StudyFactory) -> None:
        """Three levels of decisions, of all types, are found together."""
        reached = best_ten(studies(make_study, nested_objective), lambda trial: trial.value)
        assert reached > 7, f"the ten best reach {reached:.1f}, random ones 5.3, at most 12"
