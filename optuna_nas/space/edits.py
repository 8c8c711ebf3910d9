"""Edits of genotypes: all neighbours, one mutation.

One edit changes one decision to a different value; decisions that come into being with it are free,
those that stay active keep their values. The depth of a repetition is edited by its structure: a
copy is put in anywhere, taken out, or moved to another place, and the other copies keep what they
decided.
"""

from __future__ import annotations

import itertools
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

# Where a copy of a repetition is taken out and where it is put in; None is outside.
Shift = tuple["int | None", "int | None"]


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
    movable = [point for point in active(points, params) if point.domain.size > 1]
    if not movable:
        return dict(params)
    point = movable[int(rng.integers(len(movable)))]
    if point.copies:
        kinds = [shifts for shifts in _shifts(point, params) if shifts]
        shifts = kinds[int(rng.integers(len(kinds)))]
        fixed = _shifted(point, params, shifts[int(rng.integers(len(shifts)))])
    else:
        fixed = {**params, point.name: point.domain.move(params[point.name], rng)}

    def choose(point: Point) -> Value:
        known = point.domain.normalise(fixed.get(point.name))
        return point.domain.sample(rng) if known is None else known

    return decide(points, choose)


def _key(params: Params) -> int:
    # Of neighbours there can be millions: a hash of each is kept. By representation, for the hashes
    # of -1 and -2 are equal.
    return hash(frozenset(map(repr, params.items())))


def _edited(point: Point, params: Params) -> Iterator[dict[str, Value]]:
    """Assignments after an edit at ``point``, without the decisions that are now free."""
    if point.copies:
        for shifts in _shifts(point, params):
            for shift in shifts:
                yield _shifted(point, params, shift)
        return
    current = params[point.name]
    for value in point.domain.values():
        if value != current:
            yield {**params, point.name: value}


def _shifts(point: Point, params: Params) -> tuple[list[Shift], list[Shift], list[Shift]]:
    """Insertions, removals and moves that the depth allows and that change something."""
    copies = _copies(point, params)
    depth = len(copies)
    insertions: list[Shift] = []
    removals: list[Shift] = []
    if point.domain.normalise(depth + 1) is not None:
        insertions = [(None, j) for j in range(depth + 1)]
    if point.domain.normalise(depth - 1) is not None:
        removals = [(i, None) for i in range(depth)]
    # A move within a run of equal copies changes nothing.
    changes = (copies[i] != copies[i - 1] for i in range(1, depth))
    runs = list(itertools.accumulate(changes, initial=0))
    # Moving i to i - 1 is moving i - 1 to i, so each swap of neighbours counts once.
    moves: list[Shift] = [
        (i, j)
        for i in range(depth)
        for j in range(depth)
        if j not in (i, i - 1) and runs[i] != runs[j]
    ]
    return insertions, removals, moves


def _copies(point: Point, params: Params) -> list[dict[str, Value]]:
    """What each copy of a repetition decided, under the names after its prefix."""
    copies: list[dict[str, Value]] = [{} for _ in range(int(params[point.name]))]
    for name, value in params.items():
        if (place := _place(point, name)) is not None:
            copies[place[0]][place[1]] = value
    return copies


def _place(point: Point, name: str) -> tuple[int, str] | None:
    """In which copy of a repetition a decision lives, and its name there; None if in none."""
    if not name.startswith(point.copy_prefix):
        return None
    number, _, rest = name[len(point.copy_prefix) :].partition("/")
    return (int(number), rest) if rest and number.isdecimal() else None


def _shifted(point: Point, params: Params, shift: Shift) -> dict[str, Value]:
    source, target = shift
    copies = _copies(point, params)
    copy: dict[str, Value] = {} if source is None else copies.pop(source)
    if target is not None:
        copies.insert(target, copy)
    fixed = {name: value for name, value in params.items() if _place(point, name) is None}
    fixed[point.name] = len(copies)
    for i, copy in enumerate(copies):
        fixed.update({f"{point.copy_prefix}{i}/{name}": value for name, value in copy.items()})
    return fixed
