"""Edits of genotypes: all neighbours, one mutation, the crossover of two.

One edit changes one decision to a different value; decisions that come into being with it are free,
those that stay active keep their values. The depth of a repetition is edited by its structure: a
copy is put in anywhere, taken out, or moved to another place, and the other copies keep what they
decided.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optuna_nas.space.decisions import (
    Params,
    Point,
    Value,
    active,
    completions,
    decide,
)

# Where the copies of a repetition come from: positions before the edit, None for a new copy.
Order = list["int | None"]


def neighbors(points: tuple[Point, ...], params: Params) -> Iterator[dict[str, Value]]:
    """Every assignment one edit away, each once, in a fixed order.

    Decisions that an edit brings into being take every value (of a continuous one, eleven).
    """
    seen = {_key(params)}
    for point in active(points, params):
        for fixed in _edited(point, params):
            for child in completions(points, fixed):
                key = _key(child)
                if key not in seen:
                    seen.add(key)
                    yield child


def mutate(points: tuple[Point, ...], params: Params, rng: np.random.Generator) -> dict[str, Value]:
    """One edit at a decision drawn uniformly; what comes into being is drawn at random.

    Of the decisions that can change, each is as likely, and so is each other value
    (Real et al. 2019 change one uniform decision; flipping each with some probability would leave
    many children equal to their parent). Params without such a decision come back unchanged.
    """
    movable = [point for point in active(points, params) if _can_change(point, params)]
    if not movable:
        return dict(params)
    point = movable[int(rng.integers(len(movable)))]
    if point.copies:
        kinds = [orders for orders in _orders(point, params) if orders]
        orders = kinds[int(rng.integers(len(kinds)))]
        fixed = _reordered(point, params, orders[int(rng.integers(len(orders)))])
    else:
        fixed = {**params, point.name: point.domain.move(params[point.name], rng)}

    def choose(point: Point) -> Value:
        known = point.domain.normalise(fixed.get(point.name))
        return point.domain.sample(rng) if known is None else known

    return decide(points, choose)


def crossover(
    points: tuple[Point, ...], a: Params, b: Params, rng: np.random.Generator
) -> dict[str, Value]:
    """Uniform crossover of aligned decisions (Syswerda 1989).

    A decision that both parents took comes from either with probability 1/2; one that a single
    parent took comes from that parent; one that neither took is drawn at random.
    """

    def choose(point: Point) -> Value:
        parents = [parent for parent in (a, b) if point.name in parent]
        if not parents:
            return point.domain.sample(rng)
        return parents[int(rng.integers(len(parents)))][point.name]

    return decide(points, choose)


def _key(params: Params) -> frozenset[tuple[str, Value]]:
    return frozenset(params.items())


def _can_change(point: Point, params: Params) -> bool:
    if point.copies:
        return any(_orders(point, params))
    return point.domain.size > 1


def _edited(point: Point, params: Params) -> Iterator[dict[str, Value]]:
    """Assignments after an edit at ``point``, without the decisions that are now free."""
    current = params[point.name]
    if point.copies:
        for orders in _orders(point, params):
            for order in orders:
                yield _reordered(point, params, order)
        return
    for value in point.domain.values():
        if value != current:
            yield {**params, point.name: value}


def _orders(point: Point, params: Params) -> tuple[list[Order], list[Order], list[Order]]:
    """Insertions, removals and moves that the depth allows and that change something."""
    depth = int(params[point.name])
    copies: Order = list(range(depth))
    insertions: list[Order] = []
    removals: list[Order] = []
    moves: list[Order] = []
    if point.domain.normalise(depth + 1) is not None:
        insertions = [[*copies[:i], None, *copies[i:]] for i in range(depth + 1)]
    if point.domain.normalise(depth - 1) is not None:
        removals = [copies[:i] + copies[i + 1 :] for i in range(depth)]
    for i in range(depth):
        rest = copies[:i] + copies[i + 1 :]
        # Moving i to i - 1 is moving i - 1 to i, so each swap of neighbours counts once.
        moves += [[*rest[:j], i, *rest[j:]] for j in range(depth) if j not in (i, i - 1)]
    moves = [order for order in moves if _reordered(point, params, order) != params]
    return insertions, removals, moves


def _reordered(point: Point, params: Params, order: Order) -> dict[str, Value]:
    prefix = point.copy_prefix
    fixed = {
        name: value
        for name, value in params.items()
        if not name.startswith(prefix) or name == point.name
    }
    fixed[point.name] = len(order)
    for new, old in enumerate(order):
        source = f"{prefix}{old}/"
        for name, value in params.items():
            if old is not None and name.startswith(source):
                fixed[f"{prefix}{new}/{name[len(source) :]}"] = value
    return fixed
