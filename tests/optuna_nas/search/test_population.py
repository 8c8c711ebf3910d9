from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search import Evidence, Fitness, Individual, Population
from optuna_nas.search.fitness import loss_of


def individual(number: int, *losses: float, age: float | None = None) -> Individual:
    return Individual((float(number if age is None else age), number), {}, {}, Fitness(losses))


def test_the_oldest_leaves():
    population = Population(3)
    for number in range(5):
        population.add(individual(number, float(-number)))
    assert [member.age[1] for member in population.members] == [2, 3, 4]


@given(
    ages=st.lists(st.integers(0, 5), min_size=1, max_size=30),
    capacity=st.integers(1, 10),
    order=st.randoms(use_true_random=False),
)
def test_population_does_not_depend_on_the_order_of_arrival(ages, capacity, order):
    individuals = [individual(number, 0.0, age=age) for number, age in enumerate(ages)]
    expected = sorted(individuals, key=lambda i: i.age)[-capacity:]
    order.shuffle(individuals)
    population = Population(capacity)
    for one in individuals:
        population.add(one)
        assert len(population) <= capacity
    assert list(population.members) == expected


def test_fitness_puts_feasible_first_then_evidence_then_losses():
    ordered = [
        Fitness((1.0,)),
        Fitness((2.0,)),
        Fitness((-5.0, 3.0), evidence=Evidence.REPORT),  # ran for five steps
        Fitness((-2.0, 1.0), evidence=Evidence.REPORT),
        Fitness((), evidence=Evidence.NOTHING),
        Fitness((0.0,), violation=0.1),
        Fitness((-9.0,), violation=2.0),
    ]
    shuffled = [ordered[i] for i in np.random.default_rng(0).permutation(len(ordered))]
    assert sorted(shuffled, key=lambda fitness: fitness.key) == ordered


def test_nan_is_worse_than_any_value():
    assert loss_of(float("nan"), maximize=True) == float("inf")
    assert loss_of(float("nan"), maximize=False) == float("inf")
    assert loss_of(3.0, maximize=True) == -3.0


def test_ranks_follow_the_population():
    population = Population(2)
    population.add(individual(0, 1.0, 1.0))
    population.add(individual(1, 2.0, 2.0))
    assert population.ranks.tolist() == [0, 1]
    population.add(individual(2, 0.0, 0.0))
    assert population.ranks.tolist() == [1, 0]
    assert population.crowding(0) == {1: 0.0}
