"""The front of what nobody dominates."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search import Evidence, Fitness, Individual
from optuna_nas.search.domination import domination_ranks
from optuna_nas.search.front import Front


def individuals(fitnesses: list[Fitness]) -> list[Individual]:
    return [Individual((float(i), i), {}, {}, fitness) for i, fitness in enumerate(fitnesses)]


def fill(fitnesses: list[Fitness]) -> tuple[Front, list[int]]:
    front = Front()
    for individual in individuals(fitnesses):
        front.add(individual)
    return front, [member.age[1] for member in front.members]


losses = st.sampled_from([0.0, 1.0, 2.0, math.inf])


def fitness(objectives: int) -> st.SearchStrategy[Fitness]:
    return st.one_of(
        st.builds(Fitness, st.tuples(*[losses] * objectives), st.sampled_from([0.0, 0.0, 1.0])),
        st.builds(lambda step: Fitness((step, 0.0), 0.0, Evidence.REPORT), losses),
        st.just(Fitness((), 0.0, Evidence.NOTHING)),
    )


@given(st.integers(1, 3).flatmap(lambda n: st.lists(fitness(n), min_size=1, max_size=12)))
def test_members_are_those_of_rank_zero(fitnesses):
    ranks = domination_ranks(fitnesses)
    assert fill(fitnesses)[1] == [i for i, rank in enumerate(ranks) if rank == 0]


@given(st.lists(fitness(2), min_size=1, max_size=8), fitness(2))
def test_an_improvement_is_let_in_and_nothing_as_good_was_there(fitnesses, new):
    front, _ = fill(fitnesses)
    newcomer = Individual((99.0, 99), {}, {}, new)
    improved = front.improved_by(newcomer)
    known = any(member.fitness == new for member in front.members)
    front.add(newcomer)
    assert improved == (newcomer in front.members and not known)


def test_feasible_first_then_evidence_then_losses():
    worst_to_best = [
        Fitness((0.0,), 2.0),
        Fitness((5.0,), 1.0),
        Fitness((), 0.0, Evidence.NOTHING),
        Fitness((-3.0, 7.0), 0.0, Evidence.REPORT),
        Fitness((-4.0, 7.0), 0.0, Evidence.REPORT),
        Fitness((math.inf,)),
        Fitness((5.0,)),
    ]
    for number in range(1, len(worst_to_best) + 1):
        assert fill(worst_to_best[:number])[1] == [number - 1]
