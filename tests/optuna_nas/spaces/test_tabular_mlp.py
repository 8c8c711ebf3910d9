"""Networks for tables: with columns of categories, and unchanged without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optuna_nas.errors import SpaceError
from optuna_nas.spaces import tabular_mlp


def test_without_categories_the_space_is_what_it_was() -> None:
    # Studies of it resume.
    assert tabular_mlp().fingerprint == "d92a468c4c7aa3228a3ed7aab43f9347"


def test_each_category_has_an_embedding_of_its_own() -> None:
    space = tabular_mlp(
        input_shape=(7,), categories={0: 3, 3: 10, 4: 40}, embedding_sizes=(4, 8, 16), max_blocks=1
    )
    domains = space.distributions()
    # A vector for each of three categories need not have more than two numbers; four is the least.
    assert list(domains["column0/embedding"].values()) == [4]
    assert list(domains["column3/embedding"].values()) == [4, 8]
    assert list(domains["column4/embedding"].values()) == [4, 8, 16]
    assert space.size == 1 * 2 * 3 * tabular_mlp(max_blocks=1).size
    params = {**space.references["MLP"].params, "block/depth": 0, "column4/embedding": 8}
    graph = space.graph(space.genotype(params))
    tables = {name: graph.layer_params(name) for name in graph.shapes if "embedding" in name}
    assert list(tables.values()) == [3 * 4, 10 * 8, 40 * 8]
    assert graph.shapes["concatenate"] == (4 + 2 + 8 + 8 + 2,)  # columns 1 and 2, then 5 and 6


def test_references_fit() -> None:
    for space in (tabular_mlp(), tabular_mlp(max_blocks=1, widths=(3, 5), categories={2: 4})):
        assert set(space.references) == {"MLP", "ResNet-like"}
        for genotype in space.references.values():
            assert space.graph(genotype).output_shape == (2,)


def test_all_columns_may_be_categories() -> None:
    space = tabular_mlp(input_shape=(2,), categories={0: 4, 1: 4})
    assert space.graph(space.sample(np.random.default_rng(0))).input_shape == (2,)


@pytest.mark.parametrize("categories", [{3: 4}, {-1: 4}, {0: 1}, {0: 2.5}, {"0": 4}])
def test_mistakes_are_explained(categories: Any) -> None:
    with pytest.raises(SpaceError, match="expected columns from 0 to 2 with at least 2 categories"):
        tabular_mlp(input_shape=(3,), categories=categories)
