"""Checks of what ready spaces are given, whose errors name the argument."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

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


def check_among(argument: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise unless all names, of which there is at least one, are known.

    Raises:
        SpaceError: One is not, or there is none.
    """
    check_list(
        argument, names, f"among {', '.join(known)}, at least one in a list", known.__contains__
    )


def check_names(**lists: Sequence[str]) -> None:
    """Raise unless every argument is a list of names.

    Raises:
        SpaceError: One is not, or is empty.
    """
    for argument, names in lists.items():
        expected = "a list of names, at least one"
        check_list(argument, names, expected, lambda name: isinstance(name, str))


def check_sizes(**lists: Sequence[int]) -> None:
    """Raise unless every argument is a list of positive integers, such as widths or kernels.

    Raises:
        SpaceError: One is not, or is empty.
    """
    for argument, sizes in lists.items():
        expected = "a list of integers of at least 1, at least one"
        check_list(argument, sizes, expected, lambda size: _is_integer(size, 1))


def check_numbers(low: float, high: float, **lists: Sequence[float]) -> None:
    """Raise unless every argument is a list of numbers from ``low`` to below ``high``.

    Raises:
        SpaceError: One is not, or is empty.
    """
    bounds = f"of at least {low:g}" if high == math.inf else f"from {low:g} to below {high:g}"
    for argument, numbers in lists.items():
        expected = f"a list of numbers {bounds}, at least one"
        check_list(argument, numbers, expected, lambda x: _is_number(x) and low <= x < high)


def check_factors(**lists: Sequence[float]) -> None:
    """Raise unless every argument is a list of positive, finite numbers.

    Raises:
        SpaceError: One is not, or is empty.
    """
    for argument, factors in lists.items():
        expected = "a list of numbers above 0, at least one"
        check_list(argument, factors, expected, lambda x: _is_number(x) and 0 < x < math.inf)


def check_list(argument: str, values: object, expected: str, fits: Callable[[Any], bool]) -> None:
    """Raise unless an argument is a list of at least one value, and all values fit.

    Raises:
        SpaceError: It is not; the message says what was ``expected``.
    """
    listed = values if isinstance(values, Sequence) and not isinstance(values, str) else ()
    if not listed or not all(fits(value) for value in listed):
        raise SpaceError(f"{argument} must be {expected}, got {values!r}.", values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
