from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.search import Fitness, Individual, Population, tournament


def population_of(*losses: tuple[float, ...]) -> Population:
    population = Population(len(losses))
    for number, loss in enumerate(losses):
        population.add(Individual((float(number), number), {}, {}, Fitness(loss)))
    return population


@pytest.mark.parametrize("size", [1, 2, 5])
def test_winners_are_distributed_as_the_best_of_draws_with_replacement(size):
    # The worst of n is chosen if all draws are it: (1/n)^size; the best with 1 - (1 - 1/n)^size.
    population = population_of((3.0,), (1.0,), (2.0,), (0.0,))
    rng = np.random.default_rng(0)
    winners = [tournament(population, size, rng).age[1] for _ in range(4000)]
    assert np.mean(np.array(winners) == 3) == pytest.approx(1 - (3 / 4) ** size, abs=0.03)
    assert np.mean(np.array(winners) == 0) == pytest.approx((1 / 4) ** size, abs=0.03)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_winners_are_distributed_as_the_best_of_draws_without_replacement(size):
    # Of 4, the best is among `size` draws with size / 4; the worst wins only alone.
    population = population_of((3.0,), (1.0,), (2.0,), (0.0,))
    rng = np.random.default_rng(0)
    winners = [tournament(population, size, rng, replacement=False).age[1] for _ in range(4000)]
    assert np.mean(np.array(winners) == 3) == pytest.approx(size / 4, abs=0.03)
    assert np.mean(np.array(winners) == 0) == pytest.approx(0.25 if size == 1 else 0, abs=0.03)


def test_more_draws_without_replacement_than_members_are_all_members():
    population = population_of((3.0,), (1.0,))
    assert tournament(population, 9, np.random.default_rng(0), replacement=False).age[1] == 1


def test_several_objectives_prefer_the_front_and_then_the_crowd_less():
    front = [(0.0, 4.0), (1.0, 2.9), (1.1, 2.8), (4.0, 0.0)]
    population = population_of(*front, (5.0, 5.0))
    rng = np.random.default_rng(0)
    winners = [tournament(population, 20, rng).age[1] for _ in range(200)]
    assert set(winners) == {0, 3}  # the extremes: nearly always among 20 draws


def test_ties_are_broken_at_random():
    population = population_of((1.0,), (1.0,), (1.0,))
    rng = np.random.default_rng(0)
    winners = {tournament(population, 3, rng).age[1] for _ in range(50)}
    assert winners == {0, 1, 2}
