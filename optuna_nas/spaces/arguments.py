"""Checks of what ready spaces are given, whose errors name the argument."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from optuna_nas.errors import SpaceError


def check_shape(input_shape: Sequence[int], *axes: str) -> None:
    """Raise unless an input has these axes.

    Args:
        input_shape: Shape of one example.
        axes: What the space needs, such as "height", "width", "channels".

    Raises:
        SpaceError: It has others, or sizes that are not positive integers.
    """
    sizes = input_shape if isinstance(input_shape, Sequence) else ()
    if len(sizes) != len(axes) or any(not _is_integer(size, 1) for size in sizes):
        expected = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
        raise SpaceError(
            f"input_shape must be {expected}, positive integers, got {input_shape!r}.", input_shape
        )


def check_counts(least: int, **counts: int) -> None:
    """Raise unless every argument is an integer of at least ``least``.

    Raises:
        SpaceError: One is not.
    """
    for argument, count in counts.items():
        if not _is_integer(count, least):
            raise SpaceError(
                f"{argument} must be an integer of at least {least}, got {count!r}.", count
            )


def check_among(argument: str, names: Collection[str], known: Collection[str]) -> None:
    """Raise unless all names, of which there is at least one, are known.

    Raises:
        SpaceError: One is not, or there is none.
    """
    if isinstance(names, str) or not names or not set(names) <= set(known):
        raise SpaceError(
            f"{argument} must be among {', '.join(known)}, at least one in a list, got {names!r}.",
            names,
        )


def _is_integer(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
