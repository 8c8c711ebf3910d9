from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optuna_nas.search import Evidence, Fitness
from optuna_nas.search.domination import crowding_distances, domination_ranks
from optuna_nas.search.hypervolume import hypervolume

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


# 1x1 and 3x3 convolutions among the six edges, and the test error in percent, of the cells of
# NAS-Bench-201 (Dong & Yang 2020) that no other cell beats in parameters and CIFAR-10 error: found
# by sorting the 15,625 rows of the table and passing over them once.
NAS_BENCH_201_FRONT = [
    (0, 0, 13.203331), (1, 0, 10.013333), (2, 0, 8.955), (3, 0, 8.685), (0, 1, 7.633333),
    (1, 1, 6.603333), (2, 1, 6.403333), (3, 1, 6.25), (0, 2, 6.09), (1, 2, 5.985), (2, 2, 5.91),
    (3, 2, 5.693333), (2, 3, 5.656667), (1, 4, 5.626663),
]  # fmt: skip


def test_exact_front_of_nas_bench_201():
    front = np.array(
        [
            ((73_306 + 28_000 * n1 + 243_040 * n3) / 1.6e6, error / 90)
            for n1, n3, error in NAS_BENCH_201_FRONT
        ]
    )
    behind = front + np.array([0.0, 0.001])
    ranks = domination_ranks([Fitness(tuple(row)) for row in [*behind, *front]])
    assert ranks.tolist() == [1] * len(front) + [0] * len(front)
    assert hypervolume(np.concatenate([behind, front]), np.ones(2)) == pytest.approx(
        0.886400, abs=1e-6
    )


def test_crowding_of_the_largest_numbers_there_are():
    losses = np.array([[-1.0, 1.0], [0.5, 0.0], [1.0, -1.0]])
    assert crowding_distances(1.7e308 * losses).tolist() == crowding_distances(losses).tolist()
