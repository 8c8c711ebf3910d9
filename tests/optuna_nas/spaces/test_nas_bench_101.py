"""NAS-Bench-101 is rebuilt exactly: published counts, matrices, isomorphism classes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from optuna_nas import Genotype
from optuna_nas.errors import GenotypeError, InfeasibleArchitectureError
from optuna_nas.spaces import nas_bench_101
from optuna_nas.spaces.nas_bench_101 import (
    INCEPTION_LIKE,
    OPERATIONS,
    RESNET_LIKE,
    from_matrix,
    isomorphism_class,
    to_matrix,
)

SMALL = nas_bench_101(input_shape=(4, 4, 3), channels=8, stacks=1, modules=1)


def cells(vertices: int) -> Iterator[Genotype]:
    """Every labelled cell all of whose vertices are on paths, with at most nine edges."""
    pairs = [(u, v) for v in range(vertices) for u in range(v)]
    for present in itertools.product((0, 1), repeat=len(pairs)):
        matrix = np.zeros((vertices, vertices), int)
        for (u, v), edge in zip(pairs, present, strict=True):
            matrix[u, v] = edge
        whole = matrix[:-1].any(axis=1).all() and matrix[:, 1:].any(axis=0).all()
        if whole and matrix.sum() <= 9:
            for inner in itertools.product(OPERATIONS, repeat=vertices - 2):
                yield from_matrix(matrix.tolist(), ["input", *inner, "output"])


def test_published_cells_have_the_published_parameters() -> None:
    space = nas_bench_101()
    assert space.graph(INCEPTION_LIKE).params == 2_694_282
    assert space.graph(RESNET_LIKE).params == 20_346_506
    assert dict(space.references) == {
        "ResNet-like": RESNET_LIKE,
        "Inception-like": INCEPTION_LIKE,
    }


def test_the_fewest_and_the_most_parameters_are_the_tables() -> None:
    """227,274 and 49,979,274 "trainable_parameters" in the published table."""
    matrix = np.zeros((7, 7), int)
    matrix[0, 1] = matrix[1, 2:6] = matrix[2:6, 6] = 1
    poolings = from_matrix(matrix, ["input", *["maxpool3x3"] * 5, "output"])
    assert nas_bench_101().graph(poolings).params == 227_274
    matrix = np.eye(7, k=1, dtype=int)
    matrix[0, 2:5] = 1
    convolutions = from_matrix(matrix, ["input", *["conv3x3-bn-relu"] * 5, "output"])
    assert nas_bench_101().graph(convolutions).params == 49_979_274


def test_the_number_of_classes_adds_to_the_head_alone() -> None:
    ten, hundred = (nas_bench_101(classes=c).graph(RESNET_LIKE).params for c in (10, 100))
    assert hundred - ten == 513 * 90


def test_identities_are_the_published_classes() -> None:
    """1, 6 and 84 by vertices; benchmarks/exact_spaces.py counts all 423,624 classes."""
    genotypes = [genotype for vertices in (2, 3, 4) for genotype in cells(vertices)]
    assert len({SMALL.identity(genotype) for genotype in genotypes}) == 1 + 6 + 84
    assert len({str(isomorphism_class(genotype)) for genotype in genotypes}) == 1 + 6 + 84


def relabelled(genotype: Genotype, rng: np.random.Generator) -> Genotype:
    """The same cell, its vertices in another topological order."""
    matrix, operations = to_matrix(genotype)
    order, left = [0], set(range(1, 6))
    while left:
        ready = [v for v in left if not any(matrix[u][v] for u in left)]
        order.append(int(rng.choice(ready)))
        left.remove(order[-1])
    order.append(6)
    rows = [[matrix[u][v] for v in order] for u in order]
    return from_matrix(rows, [operations[v] for v in order])


def test_isomorphic_cells_are_one_network() -> None:
    rng = np.random.default_rng(0)
    changed = 0
    for _ in range(100):
        genotype = SMALL.sample(rng)
        other = relabelled(genotype, rng)
        changed += other != genotype
        assert isomorphism_class(other) == isomorphism_class(genotype)
        assert SMALL.identity(other) == SMALL.identity(genotype)
        assert SMALL.graph(other).params == SMALL.graph(genotype).params
    assert changed > 50


def test_vertices_on_no_path_are_left_out() -> None:
    matrix, operations = to_matrix(RESNET_LIKE)
    matrix[0][4] = matrix[3][4] = matrix[4][5] = 1  # lead nowhere
    other = from_matrix(matrix, operations)
    assert other != RESNET_LIKE
    assert SMALL.graph(other) == SMALL.graph(RESNET_LIKE)
    assert isomorphism_class(other) == isomorphism_class(RESNET_LIKE)
    decided = SMALL.governed(other)
    assert {"module/0->1", "module/1->2", "module/2->6", "module/operation1"} <= set(decided)
    assert not {"module/0->4", "module/4->5", "module/operation4"} & set(decided)


def test_channels_are_shared_and_cut_off() -> None:
    """Two vertices share nine channels as 5 and 4; where the second reads the first, 4 are kept."""
    matrix = [[0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    genotype = from_matrix(matrix, ["input", "conv3x3-bn-relu", "maxpool3x3", "output"])
    graph = nas_bench_101(input_shape=(4, 4, 3), channels=9, stacks=1, modules=1).graph(genotype)
    shapes = {layer.op: graph.shapes[layer.name][-1] for layer in graph.layers}
    assert (shapes["slice_channels"], shapes["max_pooling2d"], shapes["concatenate"]) == (4, 4, 9)


def test_infeasible_cells_say_why() -> None:
    ones = np.triu(np.ones((7, 7), int), 1).tolist()
    operations = ["input", *OPERATIONS, *OPERATIONS[:2], "output"]
    for matrix, reason in (
        (ones, "21 edges, over the limit of 9"),
        (np.zeros((7, 7)), "no path"),
    ):
        genotype = from_matrix(matrix, operations)
        assert not SMALL.feasible(genotype)
        with pytest.raises(InfeasibleArchitectureError, match=reason):
            SMALL.graph(genotype)
    assert isomorphism_class(from_matrix(np.zeros((7, 7)), operations)) is None


def test_the_space_is_sane_to_search() -> None:
    assert nas_bench_101().size == 2**21 * 3**5
    first = Genotype({p.name: next(iter(p.domain.values())) for p in SMALL.points})
    assert SMALL.feasible(first)  # what hosts begin with
    rng = np.random.default_rng(0)
    drawn = [Genotype({p.name: p.domain.sample(rng) for p in SMALL.points}) for _ in range(300)]
    feasible = [genotype for genotype in drawn if SMALL.feasible(genotype)]
    assert len(feasible) > 0.65 * len(drawn)
    share = [len(list(SMALL.neighbors(genotype))) / (21 + 10) for genotype in feasible[:20]]
    assert np.mean(share) > 0.85


def test_matrices_go_both_ways() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        genotype = SMALL.sample(rng)
        assert from_matrix(*to_matrix(genotype)) == genotype
    inner = list(OPERATIONS[:1])
    for matrix, operations, reason in (
        ([[0, 1]], ["input", "output"], "square"),
        ([[0] * 8] * 8, ["input", *inner * 6, "output"], "square"),
        ([[0, 1], [1, 0]], ["input", "output"], "upper triangular"),
        ([[0, 1], [0, 0]], ["input", *inner, "output"], "operations"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "conv5x5", "output"], "operations"),
    ):
        with pytest.raises(GenotypeError, match=reason):
            from_matrix(matrix, operations)
