"""Evolution as a whole, on tasks with known answers, without Optuna."""

from __future__ import annotations

from collections.abc import Callable

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
from optuna_nas.space.decisions import Categorical, Domain


def evolve(
    objective: Callable[[dict], float],
    domains: dict[str, Domain],
    *,
    evaluations: int,
    seed: int,
    population_size: int,
    tournament_size: int,
    deduplicate: bool,
) -> list[dict]:
    """Minimise one after the other, with a full population at random before the first child."""
    rng = np.random.default_rng(seed)
    memory = Memory(ParameterEncoding())
    settings = EvolutionSettings(tournament_size, deduplicate=deduplicate)
    evolution = RegularizedEvolution(population_size, population_size, settings)
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


def best_of_bits(noise: float, deduplicate: bool) -> list[float]:
    """Share of ones of the truly best candidate, in five runs of the 100-bit toy task."""
    best = []
    for seed in range(5):
        rng = np.random.default_rng(1000 + seed)
        history = evolve(
            lambda params, rng=rng: -(sum(params.values()) / 100 + rng.normal(0, noise)),
            BITS,
            evaluations=1000,
            seed=seed,
            population_size=100,
            tournament_size=10,
            deduplicate=deduplicate,
        )
        best.append(max(sum(params.values()) / 100 for params in history))
    return best


@pytest.mark.parametrize(("noise", "expected"), [(0.01, 0.890), (0.05, 0.718)])
def test_100_bit_toy_reaches_the_known_fitness(noise, expected):
    # Known from an independent implementation: .890 +- .020, and .718 +- .039.
    assert np.mean(best_of_bits(noise, deduplicate=False)) == pytest.approx(expected, abs=0.05)


def test_deduplication_does_better_on_the_toy():
    assert np.mean(best_of_bits(0.01, deduplicate=True)) > 0.905


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
