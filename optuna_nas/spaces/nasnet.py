"""NASNet-like cells (Zoph et al. 2018): blocks of two operands with an operation each.

The skeleton is the paper's for CIFAR-10: a convolution, stages of equal normal cells, and a
reduction cell between stages that halves the resolution and doubles the channels. An operand that
a cell does not use again is part of its output; unlike in the authors' code, a cell's own inputs
never are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna_nas.errors import GenotypeError
from optuna_nas.space import Choice, Genotype, Node, Parallel, Scope, SearchSpace
from optuna_nas.spaces.arguments import check_counts, check_names, check_shape
from optuna_nas.spaces.cell_genotypes import Operand, PublishedCell, format_cells, parse_cells
from optuna_nas.spaces.stacked_cells import CELL_NAMES, ReadThroughOperation, stacked_cells

OPERATIONS = (
    "skip_connect",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)
BLOCKS = 5


def nasnet(
    *,
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    channels: int = 32,
    cells: int = 6,
    stages: int = 3,
    blocks: int = BLOCKS,
    operations: Sequence[str] = OPERATIONS,
    per_stage: bool = False,
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """A space of NASNet-like cells.

    A block applies an operation to each of two operands, which may be one, and adds the results.
    Operands are the outputs of the two cells before and of the blocks before. A cell's output is
    the concatenation of the blocks that no other one reads.

    Args:
        input_shape: Height, width and channels of an image.
        classes: Number of classes.
        channels: Channels of a block in the first stage; the paper's 32. Each later stage has
            twice as many.
        cells: Normal cells a stage; the paper's 6.
        stages: Number of stages; the paper's 3.
        blocks: Blocks of a cell; the paper's 5.
        operations: Names of the operations to choose from.
        per_stage: Whether each stage has cells of its own, whose decisions are named under
            ``stage0/`` and so on, instead of sharing them with the others.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.

    Returns:
        A space whose decisions are, for each cell, each of its blocks and both operands, such as
        ``normal/block2/left``: what is read, ``normal/block2/left/source`` (0 and 1 are the outputs
        of the two cells before, 2 is the first block), and ``normal/block2/left/operation``.
    """
    check_shape(input_shape, "height", "width", "channels")
    check_counts(1, channels=channels, stages=stages, blocks=blocks)
    check_counts(0, cells=cells)
    check_names(operations=operations)
    places = [
        (stage, position == 0)
        for stage in range(stages)
        for position in range(0 if stage else 1, cells + 1)
    ]

    def block(position: int, read: ReadThroughOperation) -> Node:
        operand = read(Choice("source", range(position)))
        return Scope(f"block{position}", Parallel({"left": operand, "right": operand}))

    body = stacked_cells(
        places,
        lambda read: [block(position, read) for position in range(2, blocks + 2)],
        output="unread",
        channels=channels,
        operations=operations,
        per_stage=per_stage,
    )
    is_published = (
        blocks == BLOCKS
        and cells > 0
        and stages > 1
        and not per_stage
        and set(operations) >= set(OPERATIONS)
    )
    published = PUBLISHED if is_published else {}
    return SearchSpace(
        "nasnet",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references={name: from_genotype(text).params for name, text in published.items()},
    )


def to_genotype(genotype: Mapping[str, object]) -> str:
    """The text of a genotype as DARTS's authors write it: ``Genotype(normal=[...], ...)``.

    Raises:
        GenotypeError: It does not have the two cells.
    """
    cells = {}
    for key, cell in CELL_NAMES.items():
        nodes: list[tuple[Operand, Operand]] = []
        while (block := f"{cell}/block{len(nodes) + 2}") + "/left/source" in genotype:
            left, right = (_operand(genotype, f"{block}/{side}") for side in ("left", "right"))
            nodes.append((left, right))
        cells[key] = PublishedCell(tuple(nodes), _unread(nodes))
    return format_cells(cells)


def _operand(genotype: Mapping[str, object], path: str) -> Operand:
    return str(genotype[f"{path}/operation"]), int(str(genotype[f"{path}/source"]))


def from_genotype(text: str) -> Genotype:
    """The genotype of such a text.

    Raises:
        GenotypeError: The text is none, or other blocks are concatenated than those nobody reads.
    """
    params: dict[str, str | int] = {}
    for key, published in parse_cells(text, OPERATIONS).items():
        if published.concatenated != _unread(published.nodes):
            raise GenotypeError(
                f"{key}_concat must list the blocks that no other one reads, "
                f"{_unread(published.nodes)}, got {published.concatenated}.",
                text,
            )
        for position, node in enumerate(published.nodes, start=2):
            for side, (operation, source) in zip(("left", "right"), node, strict=True):
                params[f"{CELL_NAMES[key]}/block{position}/{side}/source"] = source
                params[f"{CELL_NAMES[key]}/block{position}/{side}/operation"] = operation
    return Genotype(params)


def _unread(nodes: Sequence[tuple[Operand, Operand]]) -> tuple[int, ...]:
    read = {source for node in nodes for _, source in node}
    return tuple(position for position in range(2, len(nodes) + 2) if position not in read)


PUBLISHED = {
    "NASNet-A": (
        "Genotype(normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), "
        "('sep_conv_3x3', 0), ('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), "
        "('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 1)], "
        "normal_concat=[2, 3, 4, 5, 6], reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0), "
        "('max_pool_3x3', 1), ('sep_conv_7x7', 0), ('avg_pool_3x3', 1), ('sep_conv_5x5', 0), "
        "('skip_connect', 3), ('avg_pool_3x3', 2), ('sep_conv_3x3', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=[4, 5, 6])"
    ),
    "AmoebaNet-A": (
        "Genotype(normal=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), "
        "('sep_conv_5x5', 2), ('sep_conv_3x3', 0), ('avg_pool_3x3', 3), ('sep_conv_3x3', 1), "
        "('skip_connect', 1), ('skip_connect', 0), ('avg_pool_3x3', 1)], "
        "normal_concat=[4, 5, 6], reduce=[('avg_pool_3x3', 0), ('sep_conv_3x3', 1), "
        "('max_pool_3x3', 0), ('sep_conv_7x7', 2), ('sep_conv_7x7', 0), ('avg_pool_3x3', 1), "
        "('max_pool_3x3', 0), ('max_pool_3x3', 1), ('conv_7x1_1x7', 0), ('sep_conv_3x3', 5)], "
        "reduce_concat=[3, 4, 6])"
    ),
}
"""The cells of Zoph et al. (2018) and of Real et al. (2019), as DARTS's authors write them."""
