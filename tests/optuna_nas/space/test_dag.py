"""Modules that are any graph: their order, their channels, what is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas import SearchSpace
from optuna_nas.errors import SpaceError
from optuna_nas.space import Choice, DagModule, conv, global_average_pooling, identity, max_pooling
from optuna_nas.space.dag import Edges, canonical_order, vertex_channels

PAIRS = [(u, v) for v in range(6) for u in range(v)]


def relabelled(
    edges: Edges, labels: tuple[int, ...], order: tuple[int, ...]
) -> tuple[Edges, tuple[int, ...]]:
    place = {vertex: position for position, vertex in enumerate(order)}
    kept = frozenset((place[u], place[v]) for u, v in edges if u in place and v in place)
    return kept, tuple(labels[v - 1] for v in order[1:-1])


@given(st.sets(st.sampled_from(PAIRS)), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_isomorphic_graphs_have_one_order(edges: set[tuple[int, int]], labels: list[int]) -> None:
    graph, kinds = frozenset(edges), tuple(labels)
    order = canonical_order(graph, kinds)
    for inner in itertools.permutations(range(1, 5)):
        other, others = relabelled(graph, kinds, (0, *inner, 5))
        if all(u < v for u, v in other):
            found = canonical_order(other, others)
            assert bool(found) == bool(order)
            if order:
                assert relabelled(other, others, found) == relabelled(graph, kinds, order)


def test_vertices_share_the_outputs_channels() -> None:
    # 0 -> 1 -> 3, 0 -> 2 -> 3, 1 -> 2, and the input's shortcut 0 -> 3.
    edges = frozenset([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)])
    assert vertex_channels(edges, 4, 8) == [0, 4, 4, 8]
    assert vertex_channels(edges, 4, 9) == [0, 5, 4, 9]
    assert vertex_channels(edges - {(1, 3)}, 4, 8) == [0, 8, 8, 8]
    assert vertex_channels(frozenset([(0, 1)]), 2, 8) == [0, 8]


def test_a_module_may_hold_decisions_in_its_operations() -> None:
    operations = {"conv": conv(kernel=Choice("kernel", [1, 3])), "pool": max_pooling(3, 1)}
    space = SearchSpace(
        "module",
        input_shape=(4, 4, 2),
        classes=2,
        body=[DagModule("module", operations, channels=6, vertices=4), global_average_pooling()],
    )
    assert space.size == 2**6 * 3**2
    assert SearchSpace.from_json(space.to_json()) == space
    feasible = [genotype for genotype in space.genotypes() if space.feasible(genotype)]
    # Without a path: of 64 sets of edges, those that leave the output out of the input's reach.
    paths = [
        chosen
        for chosen in itertools.product((False, True), repeat=6)
        if canonical_order(
            frozenset(p for p, there in zip(PAIRS[:6], chosen, strict=True) if there), (0, 0)
        )
    ]
    assert len(feasible) == len(paths) * 3**2


def test_mistakes_are_named() -> None:
    for arguments in ({"vertices": 1}, {"channels": 6}):
        with pytest.raises(SpaceError, match="vertices"):
            DagModule("a", {"x": identity()}, **{"channels": 8, **arguments})
    with pytest.raises(SpaceError, match="options are empty"):
        DagModule("a", {}, channels=8)
