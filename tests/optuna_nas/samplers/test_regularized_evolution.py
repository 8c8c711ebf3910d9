"""The sampler in studies: storages, threads, processes, spaces, partly fixed parameters."""

from __future__ import annotations

import itertools
import multiprocessing
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from optuna_nas._optuna import SPACE
from optuna_nas.errors import SpaceMismatchError
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.spaces import nas_bench_201
from tests.optuna_nas.samplers.studies import CHAIN, create_study, mean_best, size_of

pytestmark = pytest.mark.usefixtures("quiet_optuna")


def evolution(**arguments) -> RegularizedEvolutionSampler:
    return RegularizedEvolutionSampler(
        **{"population_size": 10, "tournament_size": 3, "n_startup_trials": 10, "seed": 0}
        | arguments
    )


def edges(trial: Trial) -> float:
    return float(sum(trial.suggest_categorical(f"edge{i}", (0, 1, 2, 3)) for i in range(6)))


def layers(trial: Trial) -> float:
    depth = trial.suggest_int("depth", 1, 5)
    widths = [trial.suggest_int(f"width{i}", 8, 64, step=8) for i in range(depth)]
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    return sum(widths) - abs(np.log10(rate) + 2)


def test_children_change_one_decision_and_draw_what_is_new():
    study = create_study(evolution(n_startup_trials=10))
    study.optimize(layers, n_trials=100)
    params = [trial.params for trial in study.trials]
    for number in range(10, 100):
        child = params[number]
        edits = [
            sum(child[name] != parent[name] for name in child.keys() & parent.keys())
            for parent in params[number - 10 : number]
        ]
        assert min(edits) <= 1
    late = [p["depth"] for p in params[60:]]
    assert np.mean(late) > 4


def test_it_beats_random_search():
    ours = mean_best(
        lambda seed: RegularizedEvolutionSampler(seed=seed), layers, seeds=3, n_trials=100
    )
    random = mean_best(
        lambda seed: optuna.samplers.RandomSampler(seed=seed), layers, seeds=3, n_trials=100
    )
    assert ours > random + 20


def test_startup_is_random_and_counts_added_trials():
    study = create_study(evolution(n_startup_trials=20, population_size=20))
    finished = create_study(optuna.samplers.RandomSampler(seed=1))
    finished.optimize(edges, n_trials=20)
    study.add_trials(finished.trials)
    study.optimize(edges, n_trials=30)
    parents = [trial.params for trial in finished.trials]
    child = study.trials[20].params
    assert min(sum(child[n] != parent[n] for n in child) for parent in parents) == 1


def make_storage(kind: str, folder: Path) -> BaseStorage:
    if kind == "sqlite":
        return RDBStorage(f"sqlite:///{folder / 'study.db'}")
    return JournalStorage(JournalFileBackend(str(folder / "journal.log")))


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_study_on_disk_goes_on_as_it_would_have_in_memory(kind, tmp_path):
    whole = create_study(evolution(n_startup_trials=4))
    whole.optimize(edges, n_trials=14)
    for _ in range(2):
        study = create_study(
            evolution(n_startup_trials=4),
            storage=make_storage(kind, tmp_path),
            study_name="study",
            load_if_exists=True,
        )
        study.optimize(edges, n_trials=7)
    assert [t.params for t in study.trials] == [t.params for t in whole.trials]


def work(storage: str, trials: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    study = optuna.load_study(
        study_name="study",
        storage=JournalStorage(JournalFileBackend(storage)),
        sampler=evolution(),
    )
    study.optimize(edges, n_trials=trials)


def test_processes_share_one_storage_and_one_seed(tmp_path):
    path = str(tmp_path / "journal.log")
    study = create_study(
        evolution(), storage=JournalStorage(JournalFileBackend(path)), study_name="study"
    )
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(path, 15)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
        assert process.exitcode == 0
    trials = study.trials
    assert sorted(trial.number for trial in trials) == list(range(30))
    assert all(trial.state == TrialState.COMPLETE for trial in trials)
    # Equal seeds do not make equal trials; two workers may cross between proposal and storage.
    assert len({tuple(trial.params.items()) for trial in trials}) >= 28


def test_threads_do_not_repeat_each_other():
    study = create_study(evolution())
    study.optimize(edges, n_trials=120, n_jobs=4)
    counts = Counter(tuple(sorted(trial.params.items())) for trial in study.trials)
    # Of the first trials, running at once, nobody knows the parameters beforehand.
    assert sum(count - 1 for count in counts.values()) <= 1


def test_several_objectives_approach_the_front():
    def objective(trial: Trial) -> tuple[float, float]:
        chosen = [trial.suggest_categorical(f"edge{i}", (0, 1, 2, 3)) for i in range(8)]
        changes = sum(a != b for a, b in itertools.pairwise(chosen))
        return sum(chosen) + 3 * changes, 24.0 - sum(chosen)  # the front: few changes

    def area(sampler: optuna.samplers.BaseSampler) -> float:
        """What the front dominates below (45, 24)."""
        study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        study.optimize(objective, n_trials=200)
        total, last = 0.0, 24.0
        for first, second in sorted({tuple(trial.values) for trial in study.best_trials}):
            total += (45 - first) * max(last - second, 0.0)
            last = min(last, second)
        return total

    ours = [area(RegularizedEvolutionSampler(seed=seed)) for seed in range(3)]
    random = [area(optuna.samplers.RandomSampler(seed=seed)) for seed in range(3)]
    assert np.mean(ours) > 1.15 * np.mean(random)


def test_constraints_func_works_as_in_optunas_samplers():
    def constraints(trial: optuna.trial.FrozenTrial) -> list[float]:
        return [sum(trial.params.values()) - 9]

    study = create_study(evolution(constraints_func=constraints))
    study.optimize(edges, n_trials=80)
    assert study.best_value == 9
    assert np.mean([trial.value for trial in study.trials[40:]]) < 11

    bad = create_study(evolution(constraints_func=lambda trial: [float("nan")]))
    with pytest.raises(ValueError, match="constraints_func"):
        bad.optimize(edges, n_trials=1)


def test_partial_fixed_sampler_varies_the_rest():
    sampler = evolution()
    study = create_study(sampler)
    study.optimize(edges, n_trials=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.sampler = optuna.samplers.PartialFixedSampler({"edge0": 0, "edge1": 0}, sampler)
    study.optimize(edges, n_trials=60)
    late = [trial.params for trial in study.trials[30:]]
    assert all(params["edge0"] == params["edge1"] == 0 for params in late)
    assert len({tuple(params.values()) for params in late}) > 50


def test_partial_fixed_sampler_repeats_nothing():
    def pairs(trial: Trial) -> float:
        return float(sum(trial.suggest_categorical(f"edge{i}", (0, 1, 2, 3)) for i in range(3)))

    sampler = evolution(n_startup_trials=5)
    study = create_study(sampler)
    study.optimize(pairs, n_trials=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.sampler = optuna.samplers.PartialFixedSampler({"edge0": 3}, sampler)
    study.enqueue_trial({"edge0": 1, "edge1": 2})  # wins over the sampler
    study.optimize(pairs, n_trials=11)
    assert study.trials[10].params["edge0"] == 1
    known = {tuple(trial.params.values()) for trial in study.trials[:10]}
    late = [tuple(trial.params.values()) for trial in study.trials[11:]]
    assert {edge0 for edge0, *_ in late} == {3}
    assert len({*known, *late}) == len(known) + 10


def test_references_become_parents():
    good = {f"edge{i}": 3 for i in range(6)} | {"edge0": 0}
    study = create_study(evolution(n_startup_trials=3, tournament_size=20))
    for _ in range(2):
        study.enqueue_trial(good)
    study.add_trial(
        optuna.create_trial(
            params=dict.fromkeys(good, 0),
            distributions={
                name: optuna.distributions.CategoricalDistribution((0, 1, 2, 3)) for name in good
            },
            value=0.0,
        )
    )
    study.optimize(edges, n_trials=3)
    child = study.trials[3].params
    assert sum(child[name] != good[name] for name in good) == 1


def test_score_warms_the_start_up_and_its_failures_end_nothing():
    def score(params: dict) -> float:
        if params["edge5"] == 0:
            raise RuntimeError("no network")
        return -float(sum(params.values()))

    study = create_study(evolution(n_startup_trials=12, score=score, n_candidates=10))
    study.optimize(edges, n_trials=12)  # of the first trial nobody knows the parameters beforehand
    sums = [trial.value for trial in study.trials[1:]]
    assert np.mean(sums) < 6  # 9 without a score
    assert all(trial.params["edge5"] > 0 for trial in study.trials[1:])


def test_known_objectives_spread_over_the_cheap_objective():
    def width(params: dict) -> float:
        return float(sum(params[f"width{i}"] for i in range(params["depth"])))

    def objective(trial: Trial) -> tuple[float, float]:
        depth = trial.suggest_int("depth", 1, 4)
        for i in range(depth):
            trial.suggest_int(f"width{i}", 1, 16)
        return -np.log2(width(trial.params)), width(trial.params)  # all are on the front

    gaps = {}
    for known in (None, {1: width}):
        sampler = evolution(removal="worst", population_size=30, known_objectives=known)
        study = create_study(sampler, direction=None, directions=["minimize", "minimize"])
        study.optimize(objective, n_trials=80)
        widths = sorted({trial.values[1] for trial in study.trials})
        gaps[known is not None] = len(widths)
    assert gaps[True] > gaps[False]


def test_known_objectives_have_to_be_of_the_study():
    study = create_study(evolution(known_objectives={0: lambda params: 0.0}))
    with pytest.raises(ValueError, match="known_objectives must name some, but not all"):
        study.optimize(edges, n_trials=1)


@pytest.mark.parametrize("removal", ["worst", 0.5])
def test_elitist_removal_keeps_the_best(removal):
    study = create_study(evolution(removal=removal))
    study.optimize(edges, n_trials=60)
    assert study.best_value >= 16


def test_partly_enqueued_trials_vary_only_the_rest():
    study = create_study(evolution())
    study.optimize(edges, n_trials=15)
    for _ in range(10):
        study.enqueue_trial({"edge0": 0, "edge5": 0})
    study.optimize(edges, n_trials=10)
    late = [trial.params for trial in study.trials[15:]]
    assert all(params["edge0"] == params["edge5"] == 0 for params in late)
    assert len({tuple(params.values()) for params in late}) == 10


def test_ask_with_fixed_distributions_and_tell():
    study = create_study(evolution())
    distributions = {
        "width": optuna.distributions.IntDistribution(1, 100),
        "kind": optuna.distributions.CategoricalDistribution(["a", "b"]),
    }
    for _ in range(40):
        trial = study.ask(distributions)
        study.tell(trial, trial.params["width"])
    assert study.best_value > 95


def test_a_study_made_anew_under_the_old_number_is_not_mistaken(tmp_path):
    storage = make_storage("sqlite", tmp_path)
    sampler = evolution(n_startup_trials=2)
    first = create_study(sampler, storage=storage, study_name="first")
    first.optimize(edges, n_trials=6)
    optuna.delete_study(study_name="first", storage=storage)
    second = create_study(sampler, storage=storage, study_name="second")
    assert second._study_id == first._study_id
    second.optimize(edges, n_trials=6)
    third = create_study(evolution(n_startup_trials=2))
    third.optimize(edges, n_trials=6)
    assert [t.params for t in second.trials] == [t.params for t in third.trials]


def test_without_deduplication_noise_can_be_averaged():
    study = create_study(evolution(deduplicate=False))
    study.optimize(lambda trial: float(trial.suggest_categorical("x", (0, 1))), n_trials=30)
    assert len(study.trials) == 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"population_size": 0}, "population_size must be an integer of at least 1, got 0"),
        ({"tournament_size": 2.5}, "tournament_size"),
        ({"n_startup_trials": 0}, "n_startup_trials"),
        ({"crossover_probability": 1.5}, "crossover_probability must be from 0 to 1, got 1.5"),
        ({"crossover": "three-point"}, "crossover must be one of uniform, two-point, subtree"),
        ({"mutation_rate": -0.1}, "mutation_rate must be from 0 to 1, got -0.1"),
        ({"removal": "youngest"}, 'removal must be "oldest", "worst" or the probability'),
        ({"removal": 1.5}, "removal"),
        ({"n_candidates": 0}, "n_candidates"),
        ({"seed": -1}, "seed"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        RegularizedEvolutionSampler(**arguments)


def test_reseeding_makes_another_stream():
    draws = []
    for reseed in (False, True):
        sampler = evolution()
        if reseed:
            sampler.reseed_rng()
        study = create_study(sampler)
        study.optimize(edges, n_trials=5)
        draws.append([trial.params for trial in study.trials])
    assert draws[0] != draws[1]


# --- with a declared space -----------------------------------------------------------------------


def test_space_proposals_are_whole_architectures_and_no_network_comes_twice():
    study = create_study(evolution(space=CHAIN))
    drawn = []
    sample_independent = study.sampler.sample_independent
    study.sampler.sample_independent = lambda *a: drawn.append(a[2]) or sample_independent(*a)
    study.optimize(size_of, n_trials=25)
    assert drawn == []  # all decisions are proposed together, those of new copies too
    identities = [CHAIN.identity(CHAIN.genotype(trial.params)) for trial in study.trials]
    assert len(set(identities)) == 25


def test_space_is_exhausted_gracefully():
    study = create_study(evolution(space=CHAIN))
    study.optimize(size_of, n_trials=60)
    identities = {CHAIN.identity(CHAIN.genotype(trial.params)) for trial in study.trials}
    assert len(study.trials) == 60
    assert len(identities) >= 29


def test_space_is_stored_and_another_one_is_refused():
    study = create_study(evolution(space=CHAIN))
    study.optimize(size_of, n_trials=2)
    assert study.user_attrs[SPACE]["fingerprint"] == CHAIN.fingerprint
    study.sampler = evolution(space=nas_bench_201())
    with pytest.raises(SpaceMismatchError, match="'chain'"):
        study.optimize(size_of, n_trials=1, catch=(Exception,))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2 + [TrialState.FAIL]


def test_space_with_parameters_beside_it_and_some_fixed():
    def objective(trial: Trial) -> float:
        return size_of(trial) * trial.suggest_float("scale", 0.0, 1.0)

    study = create_study(evolution(space=CHAIN))
    study.enqueue_trial({"block/depth": 4})
    study.optimize(objective, n_trials=40)
    for _ in range(3):
        study.enqueue_trial({"block/depth": 2})
    study.optimize(objective, n_trials=3)
    assert study.trials[0].params["block/depth"] == 4
    assert [trial.params["block/depth"] for trial in study.trials[-3:]] == [2, 2, 2]
    assert study.best_value > 0.8 * max(
        CHAIN.graph(CHAIN.genotype(trial.params)).params for trial in study.trials
    )


@pytest.mark.parametrize("crossover", ["uniform", "two-point", "subtree"])
def test_space_children_of_two_parents_are_whole_architectures(crossover):
    sampler = evolution(space=CHAIN, crossover=crossover, crossover_probability=1.0)
    study = create_study(sampler)
    study.optimize(size_of, n_trials=25)
    for trial in study.trials:
        assert CHAIN.genotype(trial.params).params == trial.params


def test_space_resumes_and_works_with_hyperband():
    def objective(trial: Trial) -> float:
        value = size_of(trial)
        for step in range(9):
            trial.report(value * step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    pruner = optuna.pruners.HyperbandPruner(max_resource=9)
    whole = create_study(evolution(space=CHAIN), pruner=pruner, study_name="hyperband")
    whole.optimize(objective, n_trials=24)
    resumed = create_study(evolution(space=CHAIN), pruner=pruner, study_name="hyperband")
    resumed.optimize(objective, n_trials=12)
    resumed.sampler = evolution(space=CHAIN)
    resumed.optimize(objective, n_trials=12)
    assert [t.params for t in resumed.trials] == [t.params for t in whole.trials]
