"""A layered layout for small directed acyclic graphs (after Sugiyama et al., 1981).

Nodes go to rows by their longest path from the source, edges over several rows get bends, each
row is ordered by the barycentre of its neighbours, and positions move towards the neighbours'
mean as far as the row's order and the gaps allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

BEND_WIDTH = 14.0
SWEEPS = 8


@dataclass(frozen=True)
class Layout:
    """Where everything goes, in the units of the widths given.

    Args:
        x: Horizontal centre of each node.
        row: Row of each node, 0 at the top.
        bends: For each edge ``(source, target)`` the ``(x, row)`` of its bends, top to bottom.
        rows: Number of rows.
    """

    x: Mapping[int, float]
    row: Mapping[int, int]
    bends: Mapping[tuple[int, int], tuple[tuple[float, int], ...]]
    rows: int


def layered(
    edges: Mapping[int, Sequence[int]], widths: Mapping[int, float], *, gap: float
) -> Layout:
    """Lay out a graph whose nodes are the keys of ``edges``, in topological order.

    Args:
        edges: For each node the nodes it reads.
        widths: Width of each node.
        gap: Least distance between neighbours of a row.
    """
    row: dict[int, int] = {}
    for node, sources in edges.items():
        row[node] = max((row[source] + 1 for source in sources), default=0)
    depth = max(row.values(), default=-1) + 1

    size = dict(widths)
    level = dict(row)
    up: dict[int, list[int]] = {}
    down: dict[int, list[int]] = {node: [] for node in edges}
    chains: dict[tuple[int, int], list[int]] = {}
    fresh = max(edges, default=0) + 1
    for node, sources in edges.items():
        up.setdefault(node, [])
        for source in sources:
            above, chain = source, []
            for between in range(row[source] + 1, row[node]):
                size[fresh], level[fresh] = BEND_WIDTH, between
                up[fresh], down[fresh] = [above], []
                down[above].append(fresh)
                chain.append(fresh)
                above, fresh = fresh, fresh + 1
            down[above].append(node)
            up[node].append(above)
            chains[source, node] = chain

    rows: list[list[int]] = [[] for _ in range(depth)]
    for node in size:
        rows[level[node]].append(node)
    x: dict[int, float] = {}
    for members in rows:
        _spread(members, size, gap, x)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for members in rows if downwards else rows[::-1]:
            links = up if downwards else down
            wish = {node: _mean(links[node], x, x[node]) for node in members}
            if sweep < SWEEPS - 4:  # the order settles first, then only positions move
                members.sort(key=lambda node: wish[node])
            _settle(members, wish, size, gap, x)
    bends = {
        edge: tuple((x[bend], level[bend]) for bend in chain) for edge, chain in chains.items()
    }
    return Layout({node: x[node] for node in edges}, row, bends, depth)


def _mean(neighbours: Sequence[int], x: Mapping[int, float], otherwise: float) -> float:
    return sum(x[node] for node in neighbours) / len(neighbours) if neighbours else otherwise


def _distance(left: int, right: int, size: Mapping[int, float], gap: float) -> float:
    return (size[left] + size[right]) / 2 + gap


def _spread(
    members: Sequence[int], size: Mapping[int, float], gap: float, x: dict[int, float]
) -> None:
    """Place a row side by side, centred on zero."""
    total = sum(size[node] for node in members) + gap * (len(members) - 1)
    at = -total / 2
    for node in members:
        x[node] = at + size[node] / 2
        at += size[node] + gap


def _settle(
    members: Sequence[int],
    wish: Mapping[int, float],
    size: Mapping[int, float],
    gap: float,
    x: dict[int, float],
) -> None:
    """Positions nearest to the wishes (least squares) that keep order and gaps.

    With the gaps subtracted this is isotonic regression, solved by pooling adjacent violators.
    """
    offsets = [0.0]
    for left, right in pairwise(members):
        offsets.append(offsets[-1] + _distance(left, right, size, gap))
    pools: list[list[float]] = []  # [sum of wishes, number of nodes]
    for node, offset in zip(members, offsets, strict=True):
        pools.append([wish[node] - offset, 1.0])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, number = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += number
    position = 0
    for total, number in pools:
        for _ in range(int(number)):
            x[members[position]] = total / number + offsets[position]
            position += 1
