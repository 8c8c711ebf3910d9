"""Cells written in another way: nodes in another order, operands swapped."""

from __future__ import annotations

import numpy as np

from optuna_nas.spaces.cell_genotypes import PublishedCell, format_cells, parse_cells


def rewritten(text: str, operations: tuple[str, ...], rng: np.random.Generator) -> str:
    """The text of the same two cells, their nodes in a random order and operands swapped."""
    cells = parse_cells(text, operations)
    return format_cells({key: _rewritten(cell, rng) for key, cell in cells.items()})


def _rewritten(cell: PublishedCell, rng: np.random.Generator) -> PublishedCell:
    place = {0: 0, 1: 1}
    nodes = []
    while len(nodes) < len(cell.nodes):
        ready = [
            position
            for position, node in enumerate(cell.nodes, start=2)
            if position not in place and all(source in place for _, source in node)
        ]
        chosen = int(rng.choice(ready))
        operands = [(operation, place[source]) for operation, source in cell.nodes[chosen - 2]]
        place[chosen] = len(nodes) + 2
        rng.shuffle(operands)
        nodes.append((tuple(operands[0]), tuple(operands[1])))
    nodes = [tuple((str(op), int(source)) for op, source in node) for node in nodes]
    return PublishedCell(tuple(nodes), tuple(sorted(place[p] for p in cell.concatenated)))
