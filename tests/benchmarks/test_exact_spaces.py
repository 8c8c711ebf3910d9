"""The enumeration of NAS-Bench-101 gives the published numbers, here up to six vertices."""

from __future__ import annotations

import pytest
from exact_spaces import PUBLISHED, unique_cells


@pytest.mark.parametrize("vertices", [2, 3, 4, 5, 6])
def test_unique_cells(vertices: int) -> None:
    assert unique_cells(vertices) == PUBLISHED[vertices]


def test_the_published_numbers_make_the_published_total() -> None:
    assert sum(PUBLISHED.values()) == 423_624
