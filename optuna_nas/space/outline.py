"""Decisions as an indented list for people: what is repeated, or the same in branches, stands once.

`SearchSpace.describe` writes it as text, `optuna_nas.report.draw_space` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optuna_nas.space.counting import count
from optuna_nas.space.decisions import Categorical, Domain, FloatRange, Point, Value
from optuna_nas.space.names import TRAINING

if TYPE_CHECKING:
    from optuna_nas.space.search_space import SearchSpace

LISTED = 16  # values written out


@dataclass(frozen=True)
class Row:
    """One line of an outline.

    Args:
        level: How far it is indented; it hangs on the nearest row above with a smaller level.
        name: The decision's name without what its place says; empty in a row that says when the
            rows below it exist.
        text: The decision's values, or the condition.
        repeats: Whether it decides how often what hangs on it is there.
    """

    level: int
    name: str
    text: str
    repeats: bool = False

    def __str__(self) -> str:
        return "  " * self.level + (f"{self.name}: {self.text}" if self.name else self.text)


def describe(space: SearchSpace) -> str:
    """What `SearchSpace.describe` says."""
    network = [point for point in space.points if not point.name.startswith(f"{TRAINING}/")]
    trained = ", each trained in many ways" if len(network) < len(space.points) else ""
    size = in_words(count(network))
    decisions = len(space.distributions())
    shape = "x".join(map(str, space.input_shape))
    lines = [
        f"{space.name}: inputs of {shape}, {space.classes} classes.",
        f"{size[0].upper()}{size[1:]} networks{trained}, by up to {decisions:,} decisions.",
    ]
    limits = {"parameters": space.max_params, "multiply-accumulates": space.max_macs}
    lines += [f"At most {limit:,} {what}." for what, limit in limits.items() if limit is not None]
    if space.references:
        lines.append(f"Known among them: {', '.join(space.references)}.")
    return "\n".join([*lines, "", *map(str, outline(space.points))])


def in_words(size: float, *, digits: int = 60) -> str:
    """A number of genotypes, exact where it has few digits: Python refuses very long numbers."""
    if size == math.inf:
        return "infinitely many"
    return f"{size:,}" if size < 10**digits else f"about 10^{int(math.log10(size))}"


def outline(points: Sequence[Point]) -> list[Row]:
    """Rows for all decisions that can ever exist; those that several places share come first."""
    tied: dict[str, Point] = {}
    for root in points:
        for point in root.descend():
            if point.tied:
                tied.setdefault(point.name, point)
    shared = [row for point in tied.values() for row in _rows(point, "")]
    return shared + _group(points, "")


def _group(points: Iterable[Point], prefix: str) -> list[Row]:
    return [row for point in points if not point.tied for row in _rows(point, prefix)]


def _rows(point: Point, prefix: str) -> list[Row]:
    head = Row(0, point.name.removeprefix(prefix), described(point.domain))
    if point.copies:
        # Copies of one body hold the same decisions.
        below = _group(point.copies[0], f"{point.copy_prefix}0/")
        text = f"{head.text} copies" + (", each with" if below else "")
        return [replace(head, text=text, repeats=True), *_lower(below)]
    values: dict[tuple[Row, ...], list[Value]] = {}
    for value, children in point.branches.items():
        for child in children:
            rows = tuple(_group([child], _place(point, value, child) or prefix))
            if rows:
                values.setdefault(rows, []).append(value)
    rows_of: dict[tuple[Value, ...], list[Row]] = {}
    for rows, under in values.items():
        rows_of.setdefault(tuple(under), []).extend(rows)
    found = [head]
    for taken, group in rows_of.items():
        if len(taken) < point.domain.size:
            found.append(Row(1, "", f"where it is {_either(taken)}"))
            group = _lower(group)
        found += _lower(group)
    return found


def _place(point: Point, value: Value, child: Point) -> str:
    """What the name of a decision under ``value`` begins with: a branch, or a body by its key.

    It is empty for an attribute that exists under values of another: it stands beside that one.
    """
    places = (f"{point.name}={value}/", f"{point.name}/")
    return next((place for place in places if child.name.startswith(place)), "")


def _lower(rows: Iterable[Row]) -> list[Row]:
    return [replace(row, level=row.level + 1) for row in rows]


def described(domain: Domain) -> str:
    """The values of a domain in words."""
    if isinstance(domain, Categorical):
        return _either(domain.choices)
    if domain.low == domain.high:
        return f"{domain.low:g}"
    if not isinstance(domain, FloatRange) and domain.size <= 3:
        return _either(tuple(domain.values()))
    steps = f" in steps of {domain.step:g}" if domain.step not in (None, 1) else ""
    return f"{domain.low:g} to {domain.high:g}{steps}{', logarithmic' if domain.log else ''}"


def _either(values: Sequence[Value]) -> str:
    shown = [repr(value) for value in values[:LISTED]]
    if len(values) > LISTED:
        return f"{', '.join(shown)} or one of {len(values) - LISTED:,} more"
    *before, last = shown
    return f"{', '.join(before)} or {last}" if before else last
