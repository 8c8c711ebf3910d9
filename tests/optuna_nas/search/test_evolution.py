"""Evolution as a whole, on tasks with known answers, without Optuna."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optuna_nas.search import (
    EvolutionSettings,
    Fitness,
    Individual,
    Memory,
    ParameterEncoding,
    RegularizedEvolution,
    Request,
)
from optuna_nas.search.removal import oldest, worst
from optuna_nas.space.decisions import Categorical, Domain


def evolve(
    objective: Callable[[dict], float],
    domains: dict[str, Domain],
    *,
    evaluations: int,
    seed: int,
    population_size: int,
    **settings: Any,
) -> list[dict]:
    """Minimise one after the other, with a full population at random before the first child."""
    rng = np.random.default_rng(seed)
    memory = Memory(ParameterEncoding())
    evolution = RegularizedEvolution(
        population_size, population_size, EvolutionSettings(**settings)
    )
    history = []
    for number in range(evaluations):
        candidate = evolution.propose(Request(number, domains, {}, rng), memory).params
        history.append(candidate)
        memory.archive.finish(number, next(memory.encoding.identities(candidate)))
        fitness = Fitness((objective(candidate),))
        individual = Individual((float(number), number), candidate, domains, fitness)
        evolution.observe([individual], memory)
    return history


BITS = {f"bit{i}": Categorical((0, 1)) for i in range(100)}


def best_of_bits(noise: float, runs: int = 5, **settings: Any) -> np.ndarray:
    """Share of ones of the truly best candidate, in some runs of the 100-bit toy task."""
    best = []
    for seed in range(runs):
        rng = np.random.default_rng(1000 + seed)
        history = evolve(
            lambda params, rng=rng: -(sum(params.values()) / 100 + rng.normal(0, noise)),
            BITS,
            evaluations=1000,
            seed=seed,
            population_size=100,
            tournament_size=10,
            **settings,
        )
        best.append(max(sum(params.values()) / 100 for params in history))
    return np.array(best)


# From an independent implementation: mean and standard deviation of a run.
@pytest.mark.parametrize(
    ("noise", "removal", "mean", "deviation"),
    [(0.01, oldest, 0.890, 0.020), (0.05, oldest, 0.718, 0.039), (0.05, worst, 0.673, 0.033)],
)
def test_100_bit_toy_reaches_the_known_fitness(noise, removal, mean, deviation):
    runs = 8
    best = best_of_bits(noise, runs, removal=removal, deduplicate=False)
    assert best.mean() == pytest.approx(mean, abs=3 * deviation / np.sqrt(runs))


def test_deduplication_does_better_on_the_toy():
    assert best_of_bits(0.01).mean() > 0.905


SMALL = {f"d{i}": Categorical((0, 1, 2)) for i in range(3)}


def test_children_differ_from_a_member_in_exactly_one_decision():
    history = evolve(
        lambda params: sum(params.values()),
        BITS,
        evaluations=150,
        seed=0,
        population_size=20,
        tournament_size=5,
        deduplicate=True,
    )
    for number in range(20, 150):
        members = history[number - 20 : number]
        distances = [
            sum(history[number][name] != member[name] for name in BITS) for member in members
        ]
        assert min(distances) == 1


def test_nothing_is_proposed_twice_until_all_is_known():
    # 27 candidates and at most 50 draws for each: the last few may be missed, none is repeated
    # while a good share is unknown, and the end of the space ends nothing.
    history = evolve(
        lambda params: sum(params.values()),
        SMALL,
        evaluations=60,
        seed=0,
        population_size=5,
        tournament_size=2,
        deduplicate=True,
    )
    distinct = [tuple(params.items()) for params in history]
    assert len(set(distinct[:20])) == 20
    assert len(set(distinct)) == 27


def test_fixed_decisions_are_kept_and_nothing_else_to_change_is_no_error():
    rng = np.random.default_rng(0)
    memory = Memory(ParameterEncoding())
    evolution = RegularizedEvolution(5, 1, EvolutionSettings(2))
    parent = Individual((0.0, 0), {"a": 0, "b": 1}, SMALL, Fitness((0.0,)))
    evolution.observe([parent], memory)
    memory.archive.finish(0, next(memory.encoding.identities({"a": 2, "b": 2})))
    proposal = evolution.propose(Request(1, {}, {"a": 2, "b": 2}, rng), memory)
    assert proposal.params == {"a": 2, "b": 2}


def individual(number: int, params: dict, *losses: float) -> Individual:
    return Individual((float(number), number), params, SMALL, Fitness(losses))


def ones(params: dict) -> float:
    return float(sum(params.values()))


def test_score_chooses_each_of_the_start_from_many():
    rng = np.random.default_rng(0)
    memory = Memory(ParameterEncoding())
    evolution = RegularizedEvolution(50, 50, EvolutionSettings(2, score=ones, n_candidates=16))
    sums = []
    for number in range(40):
        params = evolution.propose(Request(number, BITS, {"bit0": 0}, rng), memory).params
        assert params["bit0"] == 0
        sums.append(ones(params))
    # The largest of 16 is 1.77 standard deviations above the mean of 99 coins; SD of 40: 0.46.
    assert np.mean(sums) == pytest.approx(49.5 + 1.77 * np.sqrt(99) / 2, abs=1.5)


def test_score_has_no_say_after_the_start():
    asked = []
    settings = EvolutionSettings(2, score=asked.append)
    evolution = RegularizedEvolution(5, 1, settings)
    evolution.observe(
        [individual(0, {"d0": 0, "d1": 0, "d2": 0}, 0.0)], Memory(ParameterEncoding())
    )
    request = Request(1, SMALL, {}, np.random.default_rng(0))
    evolution.propose(request, Memory(ParameterEncoding()))
    assert asked == []


def test_start_is_random_where_no_score_is_known():
    rng = np.random.default_rng(0)
    settings = EvolutionSettings(2, score=lambda params: float("nan"))
    evolution = RegularizedEvolution(5, 5, settings)
    proposal = evolution.propose(Request(0, SMALL, {}, rng), Memory(ParameterEncoding()))
    assert proposal.params.keys() == SMALL.keys()


def lemonade(members: list[Individual], draws: int, **settings: Any) -> list[dict]:
    """Proposals of an evolution whose second objective is known: the sum of the decisions."""
    memory = Memory(ParameterEncoding())
    known = EvolutionSettings(2, known_objectives={1: ones}, deduplicate=False, **settings)
    evolution = RegularizedEvolution(10, 1, known, (False, False))
    evolution.observe(members, memory)
    rng = np.random.default_rng(0)
    proposals = [evolution.propose(Request(99, SMALL, {}, rng), memory) for _ in range(draws)]
    return [proposal.params for proposal in proposals]


def test_known_objectives_breed_from_the_front_where_it_is_thin():
    crowd = [individual(n, {"d0": 0, "d1": 0, "d2": n % 2}, -n * 0.1, n * 0.1) for n in range(4)]
    alone = individual(4, {"d0": 2, "d1": 2, "d2": 2}, -9.0, 6.0)
    dominated = individual(5, {"d0": 1, "d1": 1, "d2": 1}, 5.0, 3.0)
    children = lemonade([*crowd, alone, dominated], 300, n_candidates=1)

    def distance(a: dict, b: dict) -> int:
        return sum(a[name] != b[name] for name in SMALL)

    from_alone = [c for c in children if distance(c, dict(alone.params)) == 1]
    assert len(from_alone) > 0.3 * 300  # by chance it would be a fifth
    assert all(any(distance(c, m.params) == 1 for m in [*crowd, alone]) for c in children)


@pytest.mark.parametrize(("count", "low", "high"), [(1, 0.05, 0.15), (100, 0.35, 0.7)])
def test_known_objectives_choose_the_rare_child_of_many(count, low, high):
    # One child in ten is far away. Of all ten together, its density is about a ninth of that of
    # each of the others.
    genes = {f"bit{i}": Categorical((0, 1)) for i in range(10)}
    known = {1: lambda params: ones(params) + 20 * params["bit0"]}
    settings = EvolutionSettings(2, known_objectives=known, deduplicate=False, n_candidates=count)
    evolution = RegularizedEvolution(10, 1, settings, (False, False))
    parent = Individual((0.0, 0), dict.fromkeys(genes, 0), genes, Fitness((0.0, 0.0)))
    memory = Memory(ParameterEncoding())
    evolution.observe([parent], memory)
    request = Request(1, genes, {}, np.random.default_rng(0))
    far = [evolution.propose(request, memory).params["bit0"] for _ in range(300)]
    assert low < np.mean(far) < high


def test_known_objectives_without_a_front_or_a_child_fall_back_on_tournaments():
    infeasible = Individual(
        (0.0, 0), {"d0": 0, "d1": 0, "d2": 0}, SMALL, Fitness((0.0, 0.0), violation=1.0)
    )
    children = lemonade([infeasible], 5)
    assert all(ones(child) in (1, 2) for child in children)


@pytest.mark.parametrize("known", [{2: ones}, {-1: ones}, {0: ones, 1: ones}])
def test_known_objectives_are_some_of_the_objectives(known):
    settings = EvolutionSettings(2, known_objectives=known)
    with pytest.raises(ValueError, match="known_objectives must name some, but not all"):
        RegularizedEvolution(5, 5, settings, (True, False))
