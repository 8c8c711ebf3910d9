"""What the arguments of samplers and pruners must be."""

from __future__ import annotations


def check_count(name: str, count: object, *, least: int = 1) -> None:
    """Refuse a count that is no integer of at least `least`.

    Raises:
        ValueError: The argument's name, what was expected and what came.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {count!r}.")


def check_share(name: str, share: object) -> None:
    """Refuse a probability that is not from 0 to 1.

    Raises:
        ValueError: The argument's name, what was expected and what came.
    """
    if not isinstance(share, int | float) or not 0.0 <= share <= 1.0:
        raise ValueError(f"{name} must be from 0 to 1, got {share!r}.")
