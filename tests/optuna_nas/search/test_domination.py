from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optuna_nas.search import Evidence, Fitness
from optuna_nas.search.domination import crowding_distances, domination_ranks

points = st.integers(1, 12).flatmap(
    lambda n: st.integers(1, 3).flatmap(
        lambda m: arrays(float, (n, m), elements=st.integers(-3, 3).map(float))
    )
)


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(
        x < y for x, y in zip(a, b, strict=True)
    )


@given(points)
def test_rank_is_the_length_of_the_longest_chain_of_dominators(losses):
    ranks = domination_ranks([Fitness(tuple(row)) for row in losses])
    for i, row in enumerate(losses):
        above = [ranks[j] for j, other in enumerate(losses) if dominates(other, row)]
        assert ranks[i] == (max(above) + 1 if above else 0)


def test_infeasible_and_unfinished_come_behind_every_front():
    fitnesses = [
        Fitness((0.0, 0.0), violation=2.0),
        Fitness((5.0, 5.0)),
        Fitness((1.0, 2.0)),
        Fitness((0.0, 0.0), violation=1.0),
        Fitness((-1.0, 0.0), evidence=Evidence.REPORT),
        Fitness((), evidence=Evidence.NOTHING),
        Fitness((9.0, 9.0), violation=1.0),
    ]
    ranks = domination_ranks(fitnesses)
    assert np.argsort(ranks, kind="stable").tolist() == [2, 1, 4, 5, 3, 6, 0]


def test_nothing_valued():
    assert domination_ranks([Fitness((), evidence=Evidence.NOTHING)] * 2).tolist() == [0, 0]
    assert domination_ranks([]).tolist() == []


def test_crowding_of_a_known_front():
    # Gaps of the inner points: (3 - 0) / 4 + (5 - 2) / 5, and (4 - 1) / 4 + (3 - 0) / 5.
    front = np.array([[0.0, 5.0], [1.0, 3.0], [3.0, 2.0], [4.0, 0.0]])
    assert crowding_distances(front) == pytest.approx(
        [np.inf, 3 / 4 + 3 / 5, 3 / 4 + 3 / 5, np.inf]
    )


def test_crowding_with_infinite_and_equal_values():
    front = np.array([[0.0, 1.0], [0.0, 1.0], [np.inf, 1.0]])
    distances = crowding_distances(front)
    assert not np.isnan(distances).any()
    assert crowding_distances(np.ones((3, 2))).tolist() == [0.0, 0.0, 0.0]
