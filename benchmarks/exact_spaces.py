"""How exactly published spaces are rebuilt, checked in full.

    python benchmarks/exact_spaces.py    # NAS-Bench-101: all its cells
    python benchmarks/exact_spaces.py --data nasbench201.npz nasbench_macro.npz    # tables as well

NAS-Bench-201's file holds ``arch_str`` (15625), ``params_m`` and ``flops_m_nb201_api`` (millions),
NAS-Bench-Macro's ``ops`` (6561 x 8: 0 identity, 1 MB3-K3, 2 MB6-K5), ``params`` and ``flops``.
Quick parts of this are in the tests. It takes about three minutes.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from environment import environment, table, write

from optuna_nas.space.dag import Edges, canonical_order
from optuna_nas.spaces import nas_bench_201, nas_bench_macro
from optuna_nas.spaces.nas_bench_101 import MAX_EDGES, OPERATIONS
from optuna_nas.spaces.nas_bench_201 import from_string
from optuna_nas.spaces.nas_bench_macro import from_code

# Ying et al. (2019): cells by their number of vertices, 423,624 in all.
PUBLISHED = {2: 1, 3: 6, 4: 84, 5: 2_441, 6: 62_010, 7: 359_082}


def graphs(vertices: int) -> Iterator[Edges]:
    """Every graph of at most nine edges, all its vertices between the first and the last."""
    pairs = [(u, v) for v in range(vertices) for u in range(v)]
    numbers = np.arange(2 ** len(pairs))
    present = {pair: (numbers >> place) & 1 for place, pair in enumerate(pairs)}
    fits = sum(present.values(), start=np.zeros_like(numbers)) <= MAX_EDGES
    for v in range(vertices):
        if v > 0:
            fits &= np.any([present[u, v] for u in range(v)], axis=0)
        if v < vertices - 1:
            fits &= np.any([present[v, w] for w in range(v + 1, vertices)], axis=0)
    for number in numbers[fits]:
        yield frozenset(pair for place, pair in enumerate(pairs) if number >> place & 1)


def unique_cells(vertices: int) -> int:
    """Number of cells with so many vertices that are not isomorphic to each other.

    The representative of a class has the smallest matrix of all, whatever its operations, so that
    only matrices need be looked at that are the smallest of their own.
    """
    total = 0
    for edges in graphs(vertices):
        if edges != _relabelled(edges, canonical_order(edges, (0,) * (vertices - 2))):
            continue
        labelings = itertools.product(range(len(OPERATIONS)), repeat=vertices - 2)
        found = set()
        for labels in labelings:
            order = canonical_order(edges, labels)
            found.add(tuple(labels[v - 1] for v in order[1:-1]))
        total += len(found)
    return total


def _relabelled(edges: Edges, order: tuple[int, ...]) -> Edges:
    place = {vertex: position for position, vertex in enumerate(order)}
    return frozenset((place[u], place[v]) for u, v in edges)


def nas_bench_101_rows() -> Iterator[list[str]]:
    """Unique cells by their number of vertices."""
    total = 0
    for vertices, published in PUBLISHED.items():
        found = unique_cells(vertices)
        total += found
        yield [f"NAS-Bench-101, cells of {vertices} vertices", f"{found:,}", f"{published:,}"]
    yield ["NAS-Bench-101, cells in all", f"{total:,}", f"{sum(PUBLISHED.values()):,}"]


def nas_bench_201_rows(data: Mapping[str, Any]) -> Iterator[list[str]]:
    """Cells of NAS-Bench-201 whose costs are the table's, to the digits that it has."""
    space = nas_bench_201()
    params = macs = 0
    for text, known_params, known_flops in zip(
        data["arch_str"], data["params_m"], data["flops_m_nb201_api"], strict=True
    ):
        graph = space.graph(from_string(text.decode()))
        params += abs(graph.params / 1e6 - known_params) < 1e-6
        macs += abs(graph.macs / 1e6 - known_flops) < 0.02
    yield ["NAS-Bench-201, parameters that are the table's", f"{params:,}", "15,625"]
    yield ["NAS-Bench-201, MACs that are the table's (1)", f"{macs:,}", "15,625"]


def nas_bench_macro_rows(data: Mapping[str, Any]) -> Iterator[list[str]]:
    """Architectures of NAS-Bench-Macro whose costs are the table's, and their functions."""
    space = nas_bench_macro()
    params = macs = 0
    identities = set()
    for operations, known_params, known_flops in zip(
        data["ops"], data["params"], data["flops"], strict=True
    ):
        graph = space.graph(from_code("".join(map(str, operations))))
        params += bool(graph.params == known_params)
        # The table leaves the bias of the last layer out.
        macs += bool(graph.macs == known_flops + space.classes)
        identities.add(graph.canonical_id)
    yield ["NAS-Bench-Macro, parameters that are the table's", f"{params:,}", "6,561"]
    yield ["NAS-Bench-Macro, MACs that are the table's (2)", f"{macs:,}", "6,561"]
    yield ["NAS-Bench-Macro, functions", f"{len(identities):,}", "3,969"]


NOTES = """\
(1) In the other rows the table has the MACs of one convolution more or fewer than by its own
parameters. (2) Without the bias of the last layer, which the table leaves out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="tables, .npz files")
    parser.add_argument("--out", help="where to write the results, a .md or .json file")
    arguments = parser.parse_args()
    rows = list(nas_bench_101_rows())
    for path in arguments.data:
        data = np.load(path, allow_pickle=False)
        rows += (nas_bench_201_rows if "arch_str" in data else nas_bench_macro_rows)(data)
    report = table(["what", "here", "published"], rows) + f"\n\n{NOTES}"
    results = {"rows": rows, "environment": environment("numpy")}
    write(arguments.out, "Published spaces, rebuilt", report, results)


if __name__ == "__main__":
    main()
