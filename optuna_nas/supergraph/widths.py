"""Channels in use where their number is decided: how layers pass them on and merge them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from optuna_nas.errors import SupernetError
from optuna_nas.graph.operations import Attributes, Shape
from optuna_nas.supergraph.structure import Condition

Mask = NDArray[np.bool_]
Table = dict[Condition, Mask]
"""Channels in use under conditions that exclude one another."""

MAX_CONDITIONS = 1024

# What they give in a channel depends on that channel alone.
CHANNELWISE = frozenset(
    [
        "activation",
        "average_pooling1d",
        "average_pooling2d",
        "batch_normalization",
        "cropping1d",
        "cropping2d",
        "depthwise_conv2d",
        "dropout",
        "global_average_pooling1d",
        "global_average_pooling2d",
        "global_max_pooling1d",
        "global_max_pooling2d",
        "identity",
        "max_pooling1d",
        "max_pooling2d",
        "zero",
        "zero_padding2d",
    ]
)
MERGES = frozenset(["add", "concatenate", "multiply"])
# They read channels through a matrix, some rows of which are not in use.
MATRICES = {"conv1d": "filters", "conv2d": "filters", "dense": "units"}


def prefix(count: int, channels: int) -> Mask:
    """The first ``count`` of ``channels``."""
    return np.arange(channels) < count


def restricted(table: Table, assumed: dict[str, int]) -> Table:
    """What is left of a table where some decisions are known."""
    kept: Table = {}
    for condition, mask in table.items():
        if all(assumed.get(name, position) == position for name, position in condition):
            kept[tuple(c for c in condition if c[0] not in assumed)] = mask
    return kept


def conjunction(conditions: Iterable[Condition]) -> Condition | None:
    """All conditions at once; None where they exclude one another."""
    taken: dict[str, int] = {}
    for name, position in itertools.chain.from_iterable(conditions):
        if taken.setdefault(name, position) != position:
            return None
    return tuple(sorted(taken.items()))


def joined(tables: Sequence[Table]) -> list[tuple[Condition, tuple[Mask, ...]]]:
    """Every condition under which all tables say something, with what each says."""
    rows: list[tuple[Condition, tuple[Mask, ...]]] = [((), ())]
    for table in tables:
        rows = [
            (both, (*masks, mask))
            for (before, masks), (condition, mask) in itertools.product(rows, table.items())
            if (both := conjunction((before, condition))) is not None
        ]
        if len(rows) > MAX_CONDITIONS:
            names = sorted({name for condition, _ in rows for name, _ in condition})
            raise SupernetError(
                f"The channels of one layer depend on more than {MAX_CONDITIONS} combinations of "
                f"{', '.join(map(repr, names))}; leave fewer widths open.",
                names,
            )
    return rows


def can_pass_on(op: str, attributes: Attributes) -> bool:
    """Whether a layer may read values whose channels in use are decided."""
    if op == "activation":
        return bool(attributes.get("function") != "softmax")
    if op in MATRICES:
        return bool(attributes.get("groups", 1) == 1)
    return op in CHANNELWISE or op in MERGES or op == "flatten"


def passed_on(op: str, tables: Sequence[Table], shape: Shape) -> Table:
    """Channels in use of a layer's value, of the given shape, for those of what it reads."""
    if op in CHANNELWISE:
        return tables[0]
    if op == "flatten":
        return {c: np.tile(m, shape[-1] // len(m)) for c, m in tables[0].items()}
    if op not in MERGES:
        return {(): np.ones(shape[-1], bool)}
    rows = joined(tables)
    if op == "concatenate":
        return {condition: np.concatenate(masks) for condition, masks in rows}
    return {condition: masks[0] for condition, masks in rows}


def aligned(tables: Sequence[Table]) -> bool:
    """Whether values that are added have the same channels in use, under all conditions.

    Raises:
        SupernetError: They differ in the number of channels.
    """
    same = True
    for condition, masks in joined(tables):
        counts = [int(mask.sum()) for mask in masks]
        if len(set(counts)) > 1:
            raise SupernetError(
                f"Values of {', '.join(map(str, counts))} channels are added or multiplied under "
                f"{_decided(condition)}; their widths must be one decision.",
                condition,
            )
        same = same and all(np.array_equal(masks[0], mask) for mask in masks[1:])
    return same


def _decided(condition: Condition) -> str:
    names = ", ".join(repr(name) for name, _ in condition)
    return f"some values of {names}" if names else "all values"
