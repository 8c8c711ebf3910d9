"""Checks of the names of decisions: those that may exist together must differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from optuna_nas.errors import SpaceError
from optuna_nas.space.decisions import Point

TRAINING = "training"


def check_training(network: Iterable[Point], settings: Iterable[Point]) -> None:
    """Decisions about training, and no others, are named under ``training/``, each uniquely."""
    _check_last_parts(settings)
    for is_setting, points in ((False, network), (True, settings)):
        for point in (p for root in points for p in root.descend()):
            if point.name.startswith(f"{TRAINING}/") != is_setting:
                raise SpaceError(
                    f"The decision {point.name!r} of the training can't be Tied, which names it "
                    f"from the root."
                    if is_setting
                    else f"The decision {point.name!r}: only decisions about training are named "
                    f"under {TRAINING!r}; give the part of the body another name.",
                    point.name,
                )


def _check_last_parts(points: Iterable[Point]) -> set[str]:
    """Last parts of the names below ``points``; raises where two that coexist share one."""
    seen: set[str] = set()
    for point in points:
        below = _check_last_parts(p for copy in point.copies for p in copy)
        for group in point.branches.values():
            below |= _check_last_parts(group)
        name = point.name.rsplit("/", 1)[-1]
        if twice := (seen & below) | ({name} & (seen | below)):
            raise SpaceError(
                f"Two decisions about training are called {min(twice)!r} in space.training; give "
                "one another name.",
                min(twice),
            )
        seen |= {name} | below
    return seen


def check_names(points: Iterable[Point]) -> dict[str, tuple[Point, bool]]:
    """Names below ``points``; raises where two that may exist together share one."""
    seen: dict[str, tuple[Point, bool]] = {}

    def merge(found: Mapping[str, tuple[Point, bool]]) -> None:
        for name, (point, tied) in found.items():
            known = seen.get(name)
            if known is not None and not (tied and known[1] and known[0] == point):
                raise SpaceError(
                    f"Two decisions are named {name!r}. Give one another name, put them into a "
                    "Scope, or wrap both in one Tied node if they shall be one decision.",
                    name,
                )
            seen[name] = (point, tied)

    for point in points:
        below: dict[str, tuple[Point, bool]] = {}
        if point.copies:
            below = check_names(p for copy in point.copies for p in copy)
        for group in point.branches.values():
            for name, entry in check_names(group).items():
                if name in below and below[name][0] != entry[0]:
                    raise SpaceError(f"Branches of {point.name!r} disagree on {name!r}.", name)
                below[name] = entry
        merge({point.name: (point, point.tied)})
        merge({name: (p, tied or point.tied) for name, (p, tied) in below.items()})
    return seen
