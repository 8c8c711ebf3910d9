"""Local search in studies."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import Trial

from optuna_nas._optuna import NOTE
from optuna_nas.samplers import LocalSearchSampler
from optuna_nas.search.local_search import CLIMB
from optuna_nas.testing.objectives import architecture_of, deep_objective, large_objective
from optuna_nas.testing.samplers import (
    CountingStorage,
    SamplerFactory,
    SamplerPromises,
    params_of,
)
from tests.optuna_nas.samplers.studies import CHAIN, create_study, mean_best, size_of

pytestmark = pytest.mark.usefixtures("quiet_optuna")


class TestLocalSearch(SamplerPromises):
    @pytest.fixture
    def make_sampler(self) -> SamplerFactory:
        return lambda seed: LocalSearchSampler(seed=seed)


class TestLocalSearchWithShortStarts(SamplerPromises):
    @pytest.fixture
    def make_sampler(self) -> SamplerFactory:
        return lambda seed: LocalSearchSampler(seed=seed, n_startup_trials=2)


def test_neighbors_differ_in_one_decision_and_what_comes_with_it():
    study = create_study(LocalSearchSampler(seed=0))
    study.optimize(deep_objective, n_trials=60)
    seen = 0
    for trial in study.trials[10:]:
        if trial.system_attrs.get(NOTE):
            break
        best = max(study.trials[: trial.number], key=lambda other: other.value)
        tied = [t for t in study.trials[: trial.number] if t.value == best.value]
        shared = [
            sum(t.params[name] != trial.params[name] for name in t.params.keys() & trial.params)
            for t in tied
        ]
        assert min(shared) <= 1
        seen += 1
    assert seen > 20


def test_threads_share_one_climb_and_do_not_repeat_each_other():
    study = create_study(LocalSearchSampler(seed=0))
    study.optimize(large_objective, n_trials=120, n_jobs=4)
    assert len({architecture_of(trial) for trial in study.trials}) >= 119
    assert study.best_value >= 23


def test_only_random_trials_of_later_climbs_are_noted():
    storage = CountingStorage()
    study = create_study(LocalSearchSampler(seed=0, n_startup_trials=4), storage=storage)

    def objective(trial: Trial) -> float:
        return float(sum(trial.suggest_categorical(f"edge{i}", (0, 1, 2)) for i in range(4)))

    study.optimize(objective, n_trials=60)
    notes = [trial.system_attrs.get(NOTE) for trial in study.trials]
    climbs = Counter(note[CLIMB] for note in notes if note)
    assert storage.writes["trial"] == sum(climbs.values())
    assert notes[:10] == [None] * 10
    assert climbs[1] == 4
    assert study.best_value == 8


def test_it_finds_the_optimum_of_a_rugged_task_sooner_than_random_search():
    tables = np.random.default_rng(0).random((8, 3, 3, 3))

    def objective(trial: Trial) -> float:
        chosen = [trial.suggest_categorical(f"edge{i}", (0, 1, 2)) for i in range(8)]
        return float(
            sum(tables[i, chosen[i], chosen[i - 1], chosen[i - 2]] for i in range(len(chosen)))
        )

    ours = mean_best(lambda seed: LocalSearchSampler(seed=seed), objective, seeds=4, n_trials=100)
    random = mean_best(lambda seed: RandomSampler(seed=seed), objective, seeds=4, n_trials=100)
    assert ours > random + 0.2


def test_added_and_enqueued_trials_are_climbed_upon():
    good = {f"edge{i}": 3 for i in range(7)} | {"edge7": 1}
    study = create_study(LocalSearchSampler(seed=0, n_startup_trials=1))
    study.enqueue_trial(good)
    study.optimize(large_objective, n_trials=20)
    assert all(
        sum(params[name] != good[name] for name in good) <= 2 for params in params_of(study)[1:]
    )


def test_space_neighbors_are_whole_architectures_and_networks_do_not_come_twice():
    study = create_study(LocalSearchSampler(seed=0, space=CHAIN, n_startup_trials=3))
    drawn = []
    sample_independent = study.sampler.sample_independent
    study.sampler.sample_independent = lambda *a: drawn.append(a[2]) or sample_independent(*a)
    study.optimize(size_of, n_trials=25)
    assert drawn == []
    identities = [CHAIN.identity(CHAIN.genotype(trial.params)) for trial in study.trials]
    # There are 31 networks, some of them rare; a search for an unknown one is bounded.
    assert len(set(identities)) >= 24


def test_space_resumes_exactly():
    whole = create_study(LocalSearchSampler(seed=0, space=CHAIN, n_startup_trials=2))
    whole.optimize(size_of, n_trials=45)
    resumed = create_study(None)
    for _ in range(3):
        resumed.sampler = LocalSearchSampler(seed=0, space=CHAIN, n_startup_trials=2)
        resumed.optimize(size_of, n_trials=15)
    assert params_of(resumed) == params_of(whole)


def test_constraints_func_works_as_in_optunas_samplers():
    sampler = LocalSearchSampler(
        seed=0, constraints_func=lambda trial: [sum(trial.params.values()) - 9]
    )
    study = create_study(sampler)
    study.optimize(large_objective, n_trials=60)
    assert study.best_value == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"n_startup_trials": 0}, "n_startup_trials must be an integer"), ({"seed": -1}, "seed")],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocalSearchSampler(**arguments)
