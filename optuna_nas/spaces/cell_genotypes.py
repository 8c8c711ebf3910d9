"""The published text of a pair of cells: ``Genotype(normal=[...], normal_concat=[...], ...)``."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from optuna_nas.errors import GenotypeError

Operand = tuple[str, int]
"""An operation and the position of what it reads; the cell's two inputs are 0 and 1."""


@dataclass(frozen=True)
class PublishedCell:
    """A cell whose nodes add up two operands each.

    Args:
        nodes: The operands of each node; the first node's position is 2.
        concatenated: Positions of the nodes whose concatenation is the output.
    """

    nodes: tuple[tuple[Operand, Operand], ...]
    concatenated: tuple[int, ...]


_EXPECTED = (
    "expected 'Genotype(normal=[(operation, source), ...], normal_concat=[...], reduce=[...], "
    "reduce_concat=[...])' with two pairs a node"
)


def format_cells(cells: Mapping[str, PublishedCell]) -> str:
    """The text of the cells "normal" and "reduce".

    Raises:
        GenotypeError: A cell has no nodes.
    """
    parts = []
    for key, cell in cells.items():
        if not cell.nodes:
            raise GenotypeError(
                f"The genotype has no cell for {key!r}; only those of spaces with one normal and "
                "one reduction cell, which all stages share, can be written as a text.",
                key,
            )
        operands = [operand for node in cell.nodes for operand in node]
        parts.append(f"{key}={operands}, {key}_concat={list(cell.concatenated)}")
    return f"Genotype({', '.join(parts)})"


def parse_cells(text: str, operations: Collection[str]) -> dict[str, PublishedCell]:
    """The cells "normal" and "reduce" of a text.

    Raises:
        GenotypeError: The text is not of that form, or names other operations than those given.
    """
    listed = re.sub(
        r"\brange\((\d+),\s*(\d+)\)", lambda m: str([*range(int(m[1]), int(m[2]))]), text.strip()
    )
    try:
        call = ast.parse(listed, mode="eval").body
        arguments = call.keywords if isinstance(call, ast.Call) else []
        fields = {str(item.arg): ast.literal_eval(item.value) for item in arguments}
        return {
            key: _cell(fields[key], fields[f"{key}_concat"], operations)
            for key in ("normal", "reduce")
        }
    except (SyntaxError, ValueError, TypeError, KeyError) as error:
        raise GenotypeError(
            f"{text!r} is not the text of a pair of cells ({error}); {_EXPECTED} and operations "
            f"among {', '.join(operations)}.",
            text,
        ) from error


def _cell(
    operands: Sequence[Operand], concatenated: Sequence[int], operations: Collection[str]
) -> PublishedCell:
    nodes: list[tuple[Operand, Operand]] = []
    for position, pair in enumerate(zip(operands[::2], operands[1::2], strict=True), start=2):
        for operation, source in pair:
            if operation not in operations or source not in range(position):
                raise ValueError(f"node {position} can't read {source!r} through {operation!r}")
        nodes.append(pair)
    return PublishedCell(tuple(nodes), tuple(concatenated))
