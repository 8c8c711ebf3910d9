"""How many genotypes a space holds, exactly, with tied decisions counted once.

The count is a polynomial whose variables stand for tied decisions. A variable times itself is
itself, because a decision shared by two places is taken once; replacing each variable by the
number of its values at the very end gives the size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from optuna_nas.space.decisions import Point

Polynomial = dict[frozenset[str], int]
_ONE: Polynomial = {frozenset(): 1}


def count(points: Iterable[Point]) -> int | float:
    """Number of distinct genotypes; `math.inf` where a decision is continuous."""
    points = tuple(points)
    if any(p.domain.size == math.inf for point in points for p in point.descend()):
        return math.inf
    tied: dict[str, Polynomial] = {}
    total = _count_all(points, tied)
    for name in reversed(tied):  # a tied decision comes after those it holds, so outer ones first
        total = _expand(total, name, tied[name])
    return total.get(frozenset(), 0)


def _expand(total: Polynomial, name: str, value: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for monomial, coefficient in total.items():
        if name in monomial:
            rest: Polynomial = {monomial - {name}: coefficient}
            _add(result, _multiply(rest, value))
        else:
            _add(result, {monomial: coefficient})
    return result


def _add(total: Polynomial, other: Polynomial) -> None:
    for monomial, coefficient in other.items():
        total[monomial] = total.get(monomial, 0) + coefficient


def _multiply(a: Polynomial, b: Polynomial) -> Polynomial:
    product: Polynomial = {}
    for left, x in a.items():
        for right, y in b.items():
            _add(product, {left | right: x * y})
    return product


def _count_all(points: Iterable[Point], tied: dict[str, Polynomial]) -> Polynomial:
    product = _ONE
    for point in points:
        product = _multiply(product, _count(point, tied))
    return product


def _count(point: Point, tied: dict[str, Polynomial]) -> Polynomial:
    if point.tied and point.name in tied:
        return {frozenset({point.name}): 1}
    own: Polynomial = {}
    if point.copies:
        copies = [_count_all(copy, tied) for copy in point.copies]
        for depth in point.domain.values():
            product = _ONE
            for copy in copies[: int(depth)]:
                product = _multiply(product, copy)
            _add(own, product)
    elif point.branches:
        for value in point.domain.values():
            _add(own, _count_all(point.branches.get(value, ()), tied))
    else:
        own = {frozenset(): int(point.domain.size)}
    if point.tied:
        tied[point.name] = own
        return {frozenset({point.name}): 1}
    return own
