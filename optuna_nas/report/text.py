"""Numbers as text for people: short counts, sizes, times and shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable

LISTED = 12  # items shown of a sequence
MISSING = "–"


def count(value: float | None) -> str:
    """A count in three significant digits: 950, 12.3k, 4.56M."""
    if value is None or not math.isfinite(value):
        return MISSING
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * factor:  # what rounds to 1000 takes the next unit
            return f"{value / factor:.3g}{suffix}"
    return f"{value:.0f}"


def number(value: float | None, digits: int = 4) -> str:
    """A measured value in a few significant digits."""
    if value is None:
        return MISSING
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        text = f"{value:.{digits}g}"
        return f"{value:,.0f}" if "e" in text else text
    return f"{value:.{max(digits - 2, 1)}e}"


def seconds(value: float | None) -> str:
    """A duration: 0.42 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 10:
        return f"{value:.2g} s"
    if value < 99.5:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def percent(value: float | None) -> str:
    """A share between 0 and 1 as percent."""
    return MISSING if value is None or not math.isfinite(value) else f"{100 * value:.2f} %"


def memory(value: float | None) -> str:
    """Bytes in binary units."""
    if value is None or not math.isfinite(value):
        return MISSING
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} GiB"


def product(sizes: Iterable[object]) -> str:
    """Sizes as 8×8×16; `scalar` where there are none."""
    return "×".join(str(size) for size in sizes) or "scalar"


def plain(value: object) -> str:
    """Any value: numbers short, long sequences cut."""
    if value is None:
        return MISSING
    if isinstance(value, float):
        return number(value, 5)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(map(str, value[:LISTED]))
        return f"{shown} and {len(value) - LISTED:,} more" if len(value) > LISTED else shown
    return str(value)
