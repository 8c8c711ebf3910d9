"""Columns of categories in a table, turned into vectors (Guo & Berkhahn 2016)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from optuna_nas.errors import SpaceError
from optuna_nas.space import Choice, Node, Parallel, Scope, flatten, layer


def embedded_columns(
    features: int, categories: Mapping[int, int], sizes: Sequence[int]
) -> list[Node]:
    """Layers from a row of a table to a vector of its numbers and the vectors of its categories.

    Each column of categories has an embedding of its own; its size is the decision
    ``column<i>/embedding``.

    Args:
        features: Columns of the table.
        categories: Column -> number of its categories, which the table holds as 0, 1, 2 ...
        sizes: Sizes of an embedding to choose from; those below the number of categories are
            offered, or the smallest.

    Raises:
        SpaceError: A column does not exist, or has fewer than two categories.
    """
    if not isinstance(categories, Mapping):
        raise SpaceError(
            f"categories must be a dict of column -> number of its categories, got {categories!r}.",
            categories,
        )
    for column, count in categories.items():
        whole = isinstance(column, int) and isinstance(count, int)
        if not whole or not 0 <= column < features or count < 2:
            raise SpaceError(
                f"categories: expected columns from 0 to {features - 1} with at least 2 "
                f"categories, got {count!r} in column {column!r}.",
                column,
            )

    def part(first: int, last: int) -> list[Node]:
        return [layer("cropping1d", cropping=(first, features - last)), flatten()]

    branches: list[Node | list[Node]] = []
    for categorical, group in itertools.groupby(range(features), categories.__contains__):
        columns = list(group)
        if not categorical:
            branches.append(part(columns[0], columns[-1] + 1))
            continue
        for column in columns:
            count = categories[column]
            allowed = [size for size in sizes if size < count] or [min(sizes)]
            size = Choice("embedding", allowed)
            embedding = layer("embedding", input_dim=count, output_dim=size)
            branches.append(
                [*part(column, column + 1), Scope(f"column{column}", embedding), flatten()]
            )
    return [
        layer("reshape", target_shape=(features, 1)),
        Parallel(branches, merge="concatenate"),
    ]
