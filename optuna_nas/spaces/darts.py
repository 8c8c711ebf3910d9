"""DARTS (Liu et al. 2019): a normal and a reduction cell of four nodes, stacked.

With 36 channels, 20 cells and 32x32x3 inputs, parameters equal those of the authors' networks for
CIFAR-10 without the auxiliary head, which is a second output in training alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna_nas.errors import GenotypeError
from optuna_nas.space import Genotype, Node, Scope, SearchSpace, Subset
from optuna_nas.spaces.arguments import check_counts, check_names, check_shape
from optuna_nas.spaces.cell_genotypes import Operand, PublishedCell, format_cells, parse_cells
from optuna_nas.spaces.stacked_cells import CELL_NAMES, ReadThroughOperation, stacked_cells

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
NODES = 4


def darts(
    *,
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    channels: int = 36,
    cells: int = 20,
    nodes: int = NODES,
    operations: Sequence[str] = OPERATIONS,
    per_stage: bool = False,
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """The DARTS space.

    Every node reads two different ones before it, each through an operation, and adds them up. A
    cell's output is the concatenation of its nodes. There is one normal cell, and one that halves
    the resolution, which stands after a third and after two thirds of the others.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        channels: Channels of a node in the first cells; 36 in the paper's evaluation, 16 in its
            search. A reduction doubles them.
        cells: Number of cells; 20 in the paper's evaluation, 8 in its search.
        nodes: Nodes of a cell; the paper's 4.
        operations: Names of the operations to choose from. The paper leaves "none" out where it
            takes a cell from its supernet.
        per_stage: Whether each resolution has cells of its own, whose decisions are named under
            ``stage0/`` and so on, instead of sharing them with the others.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.

    Returns:
        A space whose decisions are, for each cell and each of its nodes, such as ``normal/node2``:
        the two that it reads, ``normal/node2/inputs`` (``"0+1"``; 0 and 1 are the outputs of the
        two cells before, 2 is the first node), and their operations, such as
        ``normal/node2/inputs/0/operation``.
    """
    check_shape(input_shape, "height", "width", "channels")
    check_counts(1, channels=channels, cells=cells, nodes=nodes)
    check_names(operations=operations)
    reductions = (cells // 3, 2 * cells // 3)
    places = [
        (sum(position >= reduction for reduction in set(reductions)), position in reductions)
        for position in range(cells)
    ]

    def node(position: int, read: ReadThroughOperation) -> Node:
        edges = {str(source): read(source) for source in range(position)}
        return Scope(f"node{position}", Subset("inputs", edges, 2, 2))

    body = stacked_cells(
        places,
        lambda read: [node(position, read) for position in range(2, nodes + 2)],
        output="concatenate",
        channels=channels,
        operations=operations,
        per_stage=per_stage,
    )
    is_published = (
        nodes == NODES
        and cells > 2
        and not per_stage
        and set(operations) >= set(OPERATIONS) - {"none"}
    )
    published = PUBLISHED if is_published else {}
    return SearchSpace(
        "darts",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references={name: from_genotype(text).params for name, text in published.items()},
    )


def to_genotype(genotype: Mapping[str, object]) -> str:
    """The authors' text of a genotype: ``Genotype(normal=[('skip_connect', 0), ...], ...)``.

    Raises:
        GenotypeError: It does not have the two cells.
    """
    cells = {}
    for key, cell in CELL_NAMES.items():
        nodes: list[tuple[Operand, Operand]] = []
        while (inputs := f"{cell}/node{len(nodes) + 2}/inputs") in genotype:
            first, second = (
                (str(genotype[f"{inputs}/{source}/operation"]), int(source))
                for source in str(genotype[inputs]).split("+")
            )
            nodes.append((first, second))
        cells[key] = PublishedCell(tuple(nodes), tuple(range(2, len(nodes) + 2)))
    return format_cells(cells)


def from_genotype(text: str) -> Genotype:
    """The genotype of the authors' text.

    Raises:
        GenotypeError: The text is none, a node reads another one twice, or not all nodes are
            concatenated.
    """
    params: dict[str, str] = {}
    for key, published in parse_cells(text, OPERATIONS).items():
        if published.concatenated != tuple(range(2, len(published.nodes) + 2)):
            raise GenotypeError(
                f"{key}_concat must list all nodes from 2 on, got {published.concatenated}.", text
            )
        for position, node in enumerate(published.nodes, start=2):
            operations = {source: operation for operation, source in sorted(node, key=_source)}
            if len(operations) != 2:
                raise GenotypeError(
                    f"Node {position} of {key} must read two different ones, got {node}.", text
                )
            name = f"{CELL_NAMES[key]}/node{position}/inputs"
            params[name] = "+".join(map(str, operations))
            params |= {f"{name}/{u}/operation": operations[u] for u in operations}
    return Genotype(params)


def _source(operand: Operand) -> int:
    return operand[1]


PUBLISHED = {
    "DARTS_V1": (
        "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), "
        "('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
        "('skip_connect', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
        "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), "
        "('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], "
        "reduce_concat=[2, 3, 4, 5])"
    ),
    "DARTS_V2": (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
        "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
        "('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
        "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
        "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=[2, 3, 4, 5])"
    ),
}
"""The cells of the paper: found with the first-order and the second-order approximation."""
