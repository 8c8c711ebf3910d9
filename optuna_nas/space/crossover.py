"""Crossover: which decisions a child has from its second parent.

Decisions are aligned by their names. One that both parents took may come from either; one that a
single parent took is there because of another one, and comes from that parent if it exists in the
child. So a crossover is the set of the names, among those on which the parents differ, that come
from the second parent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from optuna_nas.space.decisions import Params, Point, Value, decide

# Names on which the parents differ, in the order of the decisions -> those from the second parent.
Crossover = Callable[[Sequence[str], np.random.Generator], set[str]]


def uniform(names: Sequence[str], rng: np.random.Generator) -> set[str]:
    """Each from the second parent with probability 1/2 (Syswerda 1989)."""
    drawn = rng.random(len(names)) < 0.5
    return {name for name, from_second in zip(names, drawn, strict=True) if from_second}


def two_point(names: Sequence[str], rng: np.random.Generator) -> set[str]:
    """Those between two cuts (De Jong 1975), never all of them.

    Both cuts are among the decisions that differ (the reduced surrogate of Booker 1987), so that
    the child differs from its parents wherever it can.
    """
    if len(names) < 2:
        return uniform(names, rng)
    cuts = len(names) + 1
    while True:
        first, second = sorted(int(cut) for cut in rng.choice(cuts, size=2, replace=False))
        if second - first < len(names):
            return set(names[first:second])


def subtree(names: Sequence[str], rng: np.random.Generator) -> set[str]:
    """Those of one sub-structure, such as a stage, a block, or a copy of a repetition.

    It is drawn uniformly from the sub-structures on which the parents differ and that are not
    their only difference (the exchange of aligned subtrees, Poli & Langdon 1998). What belongs
    together shows in the names, as `substructures` says.
    """
    groups = [group for group in substructures(names) if len(group) < len(names)]
    if not groups:
        return uniform(names, rng)
    return set(groups[int(rng.integers(len(groups)))])


def crossover_of(kind: str) -> Crossover:
    """The crossover called "uniform", "two-point" or "subtree".

    Raises:
        ValueError: There is none of that name.
    """
    crossovers = {"uniform": uniform, "two-point": two_point, "subtree": subtree}
    if kind not in crossovers:
        raise ValueError(f"crossover must be one of {', '.join(crossovers)}, got {kind!r}.")
    return crossovers[kind]


def substructures(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of decisions that describe one part of a network, each once, the single ones too.

    In the names of a `SearchSpace`, which are paths, everything under one prefix is a part:
    ``stage/0/`` a copy of a repetition, ``stage/0/block=conv/`` a branch. In names that a user
    wrote, numbers play that role as well: ``units_2`` and ``dropout_2`` are of one layer, and
    ``s1_l0_kernel`` is of stage 1 and of its layer 0.
    """
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in names:
        *folders, last = name.split("/")
        keys: list[tuple[object, ...]] = [(name,)]
        keys += [(*folders[:depth], "/") for depth in range(1, len(folders) + 1)]
        numbers = [int(number) for number in re.findall(r"\d+", last)]
        keys += [(*folders, "/", *numbers[:length]) for length in range(1, len(numbers) + 1)]
        for key in keys:
            groups.setdefault(key, []).append(name)
    return list(dict.fromkeys(tuple(group) for group in groups.values()))


def cross_params(
    a: Params, b: Params, rng: np.random.Generator, crossover: Crossover = uniform
) -> dict[str, Value]:
    """A child of two assignments of which nobody knows how decisions depend on each other.

    It holds the decisions of both, in the order of the first; which of them exist in the child
    shows when they are asked for.
    """
    from_b = _from_second(a, b, rng, crossover)
    return {**{n: b[n] if n in from_b else value for n, value in a.items()}, **_only(b, a)}


def cross_points(
    points: tuple[Point, ...],
    a: Params,
    b: Params,
    rng: np.random.Generator,
    crossover: Crossover = uniform,
) -> dict[str, Value]:
    """A child of two complete assignments of a tree of points, complete as well.

    Decisions that come into being though neither parent took them are drawn at random.
    """
    from_b = _from_second(a, b, rng, crossover)

    def choose(point: Point) -> Value:
        if point.name in b and (point.name in from_b or point.name not in a):
            return b[point.name]
        return a[point.name] if point.name in a else point.domain.sample(rng)

    return decide(points, choose)


def _from_second(a: Params, b: Params, rng: np.random.Generator, crossover: Crossover) -> set[str]:
    return crossover([name for name, value in a.items() if name in b and b[name] != value], rng)


def _only(a: Params, b: Params) -> dict[str, Value]:
    return {name: value for name, value in a.items() if name not in b}
