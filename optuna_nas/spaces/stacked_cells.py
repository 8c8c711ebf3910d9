"""Networks of two kinds of cells, a normal one and one that reduces the resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from optuna_nas.space import (
    Cell,
    CellStack,
    Choice,
    Edge,
    Node,
    Scope,
    Tied,
    conv,
    global_average_pooling,
)
from optuna_nas.spaces.cell_operations import (
    cell_operation,
    factorized_reduction,
    relu_conv_bn,
)

CELL_NAMES = {"normal": "normal", "reduce": "reduction"}
"""Names of the cells in published texts and in decisions."""

ReadThroughOperation = Callable[[Any], Edge]
"""``source -> edge`` that reads a node, or a decision on one, through a chosen operation."""


def stacked_cells(
    places: Sequence[tuple[int, bool]],
    nodes: Callable[[ReadThroughOperation], Sequence[Node]],
    *,
    output: str,
    channels: int,
    operations: Sequence[str],
    per_stage: bool,
) -> list[Node]:
    """A convolution, a stack of cells and a pooling.

    Args:
        places: For each cell its stage, and whether it reduces the resolution.
        nodes: Makes the nodes of a cell.
        output: The output of a cell, see `Cell`.
        channels: Channels of a node in stage 0; each later stage has twice as many.
        operations: Names of the operations to choose from.
        per_stage: Whether each stage has cells of its own.
    """
    stack: list[Node] = []
    for stage, reduction in places:
        width = channels * 2**stage
        plain = _operation(operations, width, stride=1)
        strided = _operation(operations, width, stride=2) if reduction else None
        cell = Cell(
            CELL_NAMES["reduce" if reduction else "normal"],
            nodes(partial(Edge, body=plain, from_input=strided)),
            output=output,
            inputs=2,
            prepare=relu_conv_bn(width),
            reduce=factorized_reduction(width),
        )
        stack.append(Tied(Scope(f"stage{stage}", cell) if per_stage else cell))
    stem = conv(3 * channels, 3, activation=None)
    return [stem, CellStack(stack), global_average_pooling()]


def _operation(names: Sequence[str], channels: int, stride: int) -> Choice:
    return Choice("operation", {name: cell_operation(name, channels, stride) for name in names})
