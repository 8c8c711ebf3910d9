from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search import Evidence, Fitness, Individual, Population
from optuna_nas.search.fitness import loss_of
from optuna_nas.search.removal import Mixture, oldest, worst


def individual(number: int, *losses: float, age: float | None = None) -> Individual:
    return Individual((float(number if age is None else age), number), {}, {}, Fitness(losses))


def test_the_oldest_leaves():
    population = Population(3)
    for number in range(5):
        population.add(individual(number, float(-number)))
    assert [member.age[1] for member in population.members] == [2, 3, 4]


REMOVALS = {"oldest": oldest, "worst": worst, "mixture": Mixture(0.5)}


@pytest.mark.parametrize("removal", REMOVALS)
@given(
    arrivals=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=25
    ),
    objectives=st.integers(1, 2),
    capacity=st.integers(1, 8),
    order=st.randoms(use_true_random=False),
)
def test_population_does_not_depend_on_the_order_of_arrival(
    removal, arrivals, objectives, capacity, order
):
    individuals = [
        individual(number, *map(float, losses[:objectives]), age=age)
        for number, (age, *losses) in enumerate(arrivals)
    ]
    by_age = Population(capacity, REMOVALS[removal])
    for one in sorted(individuals, key=lambda i: i.age):
        by_age.add(one)
    order.shuffle(individuals)
    population = Population(capacity, REMOVALS[removal])
    while individuals:
        size = order.randint(1, 4)
        population.add(*individuals[:size])
        del individuals[:size]
        assert len(population) <= capacity
    assert population.members == by_age.members


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30), st.integers(1, 8))
def test_the_youngest_or_the_best_of_all_are_left(arrivals, capacity):
    individuals = [
        individual(number, float(loss), age=age) for number, (age, loss) in enumerate(arrivals)
    ]
    population, elite = Population(capacity), Population(capacity, worst)
    population.add(*individuals)
    elite.add(*individuals)
    by_age = sorted(individuals, key=lambda i: i.age)
    assert list(population.members) == by_age[-capacity:]
    # Of equals, the younger stay.
    best = sorted(by_age, key=lambda i: (i.fitness.key, -i.age[0], -i.age[1]))[:capacity]
    assert list(elite.members) == sorted(best, key=lambda i: i.age)


def test_the_worst_of_several_objectives_is_last_in_rank_and_then_in_the_crowd():
    population = Population(4, worst)
    front = [(0.0, 4.0), (1.0, 2.9), (1.1, 2.8), (4.0, 0.0)]
    population.add(*(individual(number, *losses) for number, losses in enumerate(front)))
    population.add(individual(4, 5.0, 5.0))  # dominated: does not stay
    assert [member.age[1] for member in population.members] == [0, 1, 2, 3]
    population.add(individual(5, 2.5, 1.0))  # on the front, where the second one is in a crowd
    assert [member.age[1] for member in population.members] == [0, 2, 3, 5]
    infeasible = Individual((6.0, 6), {}, {}, Fitness((-9.0, -9.0), violation=1.0))
    population.add(infeasible)
    assert infeasible not in population.members


def test_a_mixture_removes_the_oldest_as_often_as_it_says():
    # The newcomer is the worst. Where the oldest goes instead, a newcomer stays for the next time.
    population = Population(1, Mixture(0.3))
    stayed = 0
    for number in range(2000):
        newcomer = individual(number, float(number))
        population.add(newcomer)
        stayed += newcomer in population.members
    assert stayed / 2000 == pytest.approx(0.3, abs=0.04)
    assert Mixture(1.0)(population) == oldest(population)


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
