"""Seeds are kept, and what a sampler knows lives in the storage."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import optuna
import pytest
from optuna.trial import Trial

from optuna_nas.testing.objectives import deep_objective, large_objective
from optuna_nas.testing.suite import (
    CountingStorage,
    SamplerFactory,
    SamplerSuite,
    StudyFactory,
    common_start,
    params_of,
)

Objective = Callable[[Trial], float]

flat_and_conditional = pytest.mark.parametrize(
    "objective", [large_objective, deep_objective], ids=["flat", "conditional"]
)


class ReproducibilityPromises(SamplerSuite):
    """One seed, one sequence of trials, however often the process was ended in between."""

    @flat_and_conditional
    def test_same_seed_same_trials(self, make_study: StudyFactory, objective: Objective) -> None:
        """The same seed makes the same trials, 0 is a seed, and another one makes others."""
        runs = []
        for seed in (0, 0, 1):
            study = make_study(seed)
            study.optimize(objective, n_trials=40)
            runs.append(params_of(study))
        assert runs[0] == runs[1], "two runs with one seed differ"
        assert runs[0] != runs[2], "two seeds make the same trials"

    @flat_and_conditional
    def test_state_lives_in_the_storage(
        self, make_study: StudyFactory, make_sampler: SamplerFactory, objective: Objective
    ) -> None:
        """A study resumed with new samplers of its seed goes on exactly as without a break."""
        whole = make_study(0)
        whole.optimize(objective, n_trials=60)
        resumed = make_study(0)
        for _ in range(3):
            resumed.optimize(objective, n_trials=20)
            resumed.sampler = make_sampler(0)
        equal = common_start(params_of(resumed), params_of(whole))
        assert equal == 60, f"resumed after 20 and 40 trials; they differ from trial {equal} on"

    def test_resumed_study_does_not_repeat_its_start(
        self, make_study: StudyFactory, make_sampler: SamplerFactory
    ) -> None:
        """A seeded study that is resumed does not draw its first trials again."""
        study = make_study(0)
        study.optimize(large_objective, n_trials=5)
        study.sampler = make_sampler(0)
        study.optimize(large_objective, n_trials=5)
        params = params_of(study)
        assert params[:5] != params[5:], "the five trials after the break equal the first five"

    def test_workers_with_one_seed_differ(
        self, make_study: StudyFactory, make_sampler: SamplerFactory
    ) -> None:
        """Two workers whose samplers have one seed do not run the same trials."""
        study = make_study(0)
        storage = study._storage
        workers = [
            optuna.load_study(study_name=study.study_name, storage=storage, sampler=make_sampler(0))
            for _ in range(2)
        ]
        for _ in range(20):
            for trial in [worker.ask() for worker in workers]:
                study.tell(trial, large_objective(trial))
        params = params_of(study)
        same = sum(a == b for a, b in zip(params[::2], params[1::2], strict=True))
        assert same == 0, f"{same} of 20 pairs of trials that ran side by side are equal"

    def test_pickled_sampler_goes_on(self, make_study: StudyFactory) -> None:
        """A sampler can be pickled, and its copy goes on as it would have."""
        study = make_study(0)
        study.optimize(large_objective, n_trials=25)
        study.sampler = pickle.loads(pickle.dumps(study.sampler))
        study.optimize(large_objective, n_trials=10)
        whole = make_study(0)
        whole.optimize(large_objective, n_trials=35)
        equal = common_start(params_of(study), params_of(whole))
        assert equal == 35, f"pickled after 25 trials; they differ from trial {equal} on"

    def test_at_most_one_extra_write_a_trial(self, make_study: StudyFactory) -> None:
        """No more than one attribute is written a trial: on disk each costs milliseconds."""
        storage = CountingStorage()
        study = make_study(0, storage=storage)
        study.optimize(large_objective, n_trials=50)
        assert storage.writes["trial"] <= 50, f"{storage.writes['trial']} writes for 50 trials"
        assert storage.writes["study"] <= 5, f"{storage.writes['study']} writes to the study"
