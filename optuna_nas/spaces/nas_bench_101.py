"""NAS-Bench-101 (Ying et al. 2019): one module, any graph of at most 7 vertices and 9 edges.

The skeleton is the paper's: a stem, three stacks of three equal modules with a pooling between
them that halves the resolution while the channels double, and a head. With 128 channels and
32x32x3 inputs parameters equal the benchmark's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna_nas.errors import GenotypeError
from optuna_nas.space import (
    DagModule,
    Genotype,
    Node,
    Repeat,
    Scope,
    SearchSpace,
    Tied,
    conv,
    global_average_pooling,
    max_pooling,
)
from optuna_nas.space.dag import canonical_order
from optuna_nas.spaces.arguments import check_counts, check_shape

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
VERTICES = 7
MAX_EDGES = 9

Matrix = Sequence[Sequence[Any]]


def nas_bench_101(
    *,
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    channels: int = 128,
    stacks: int = 3,
    modules: int = 3,
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """The NAS-Bench-101 space.

    Modules that are isomorphic are one network. `SearchSpace.identity` merges a few more, for two
    poolings of one value are one value: of the 62,010 classes of six vertices, 72 have the function
    of a smaller one. A module with more than 9 edges on paths from its input to its output, or
    without such a path, is infeasible; three of four random genotypes are feasible, and nine of
    ten mutations of these.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        channels: Channels of the stem and the first stack; the paper's 128.
        stacks: Number of stacks; the paper's 3.
        modules: Modules a stack; the paper's 3.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.

    Returns:
        A space of 21 edges, the decisions ``module/0->1`` to ``module/5->6``, and five operations,
        ``module/operation1`` to ``module/operation5``.
    """
    check_shape(input_shape, "height", "width", "channels")
    check_counts(1, stacks=stacks, modules=modules)
    check_counts(VERTICES, channels=channels)
    body: list[Node] = [conv(channels, 3)]
    for stack in range(stacks):
        if stack:
            body.append(max_pooling(2))
        module = _module(channels * 2**stack)
        body.append(Scope(f"stack{stack}", Repeat("modules", modules, modules, Tied(module))))
    body.append(global_average_pooling())
    references = {"ResNet-like": RESNET_LIKE.params, "Inception-like": INCEPTION_LIKE.params}
    return SearchSpace(
        "nas_bench_101",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references=references,
    )


def _module(channels: int) -> DagModule:
    operations = {
        "conv3x3-bn-relu": conv(kernel=3),
        "conv1x1-bn-relu": conv(kernel=1),
        "maxpool3x3": max_pooling(3, strides=1),
    }
    return DagModule("module", operations, channels, VERTICES, MAX_EDGES)


def to_matrix(genotype: Mapping[str, object]) -> tuple[list[list[int]], list[str]]:
    """Adjacency matrix, 7x7 and upper triangular, and operations, as the benchmark takes them.

    The operations begin with "input" and end with "output".
    """
    edges, operations = _edges(genotype), _operations(genotype)
    matrix = [[int((u, v) in edges) for v in range(VERTICES)] for u in range(VERTICES)]
    return matrix, ["input", *operations, "output"]


def from_matrix(matrix: Matrix, operations: Sequence[str]) -> Genotype:
    """The genotype of a matrix and the operations of its vertices.

    A graph of fewer than seven vertices gets vertices without edges, before its output.

    Args:
        matrix: Square, upper triangular, of 2 to 7 vertices.
        operations: "input", those of the inner vertices, "output".

    Raises:
        GenotypeError: The matrix or the operations are not the benchmark's.
    """
    rows = [[bool(value) for value in row] for row in matrix]
    size, inner = len(rows), [str(operation) for operation in operations[1:-1]]
    if not 2 <= size <= VERTICES or any(len(row) != size for row in rows):
        raise GenotypeError(
            f"matrix must be square with 2 to {VERTICES} rows, got {[len(row) for row in rows]} "
            f"columns in {size} rows.",
            matrix,
        )
    if any(rows[u][v] for v in range(size) for u in range(v, size)):
        raise GenotypeError(
            f"matrix must be upper triangular, edges lead to later vertices; got {rows}.", matrix
        )
    if len(operations) != size or not set(inner) <= set(OPERATIONS):
        raise GenotypeError(
            f"operations must be 'input', {size - 2} among {', '.join(OPERATIONS)}, and 'output', "
            f"got {list(operations)}.",
            operations,
        )
    place = [*range(size - 1), VERTICES - 1]
    edges = {(place[u], place[v]) for v in range(size) for u in range(v) if rows[u][v]}
    inner += [OPERATIONS[0]] * (VERTICES - size)
    params: dict[str, bool | str] = {}
    for v in range(1, VERTICES):
        params |= {f"module/{u}->{v}": (u, v) in edges for u in range(v)}
        if v < VERTICES - 1:
            params[f"module/operation{v}"] = inner[v - 1]
    return Genotype(params)


def isomorphism_class(genotype: Mapping[str, object]) -> tuple[list[list[int]], list[str]] | None:
    """The matrix and operations of the cell that stands for all cells isomorphic to this one.

    It is the first of its kind in the enumeration by which the benchmark's 423,624 cells were
    found, without vertices that are on no path; None for a cell without a path.
    """
    edges, operations = _edges(genotype), _operations(genotype)
    order = canonical_order(edges, tuple(OPERATIONS.index(operation) for operation in operations))
    if not order:
        return None
    matrix = [[int((u, v) in edges) for v in order] for u in order]
    return matrix, ["input", *(operations[v - 1] for v in order[1:-1]), "output"]


def _edges(genotype: Mapping[str, object]) -> frozenset[tuple[int, int]]:
    pairs = [(u, v) for v in range(1, VERTICES) for u in range(v)]
    return frozenset((u, v) for u, v in pairs if genotype[f"module/{u}->{v}"])


def _operations(genotype: Mapping[str, object]) -> list[str]:
    return [str(genotype[f"module/operation{v}"]) for v in range(1, VERTICES - 1)]


# Two convolutions beside a shortcut, and the cell of the benchmark's own example.
RESNET_LIKE = from_matrix(
    [[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]],
    ["input", "conv3x3-bn-relu", "conv3x3-bn-relu", "output"],
)
INCEPTION_LIKE = from_matrix(
    [
        [0, 1, 1, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    [
        "input",
        "conv1x1-bn-relu",
        "conv3x3-bn-relu",
        "conv3x3-bn-relu",
        "conv3x3-bn-relu",
        "maxpool3x3",
        "output",
    ],
)
