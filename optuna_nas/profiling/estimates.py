"""From timed rounds to the figures of a profile, and to the question whether they are enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optuna_nas.profiling.rounds import Series, median_interval, relative_width

UNDISTURBED = 1.03
"""An anchor slower than its reference by more than this tells of a slow spell of the machine."""


def narrow_enough(
    anchor: bool, target: float, reference: float | None
) -> Callable[[Sequence[Series]], bool]:
    """When the rounds may end: intervals narrow, and the machine not in a slow spell.

    Args:
        anchor: The last series is the anchor's.
        target: Half the width of a 95 % interval over its centre.
        reference: The anchor's undisturbed time in milliseconds, where it is known.
    """

    def narrow(series: Sequence[Series]) -> bool:
        if not anchor:
            medians = [times.round_medians() for times in series]
            return all(relative_width(median_interval(values)) <= target for values in medians)
        *models, beside = series
        if reference is not None and beside.minimum > UNDISTURBED * reference:
            return False
        pace = beside.round_medians()
        return all(
            relative_width(median_interval(times.round_medians() / pace)) <= target
            for times in models
        )

    return narrow


def figures(times: Series, anchor: Series | None) -> dict[str, Any]:
    """What a `LatencyProfile` tells of times, by its names."""
    medians = times.round_medians()
    minimum = times.minimum
    return {
        "median_ms": float(np.median(medians)),
        "p90_ms": float(np.quantile(times.samples, 0.9)),
        "min_ms": minimum,
        "ci_ms": median_interval(medians),
        "ratio_to_anchor": None if anchor is None else minimum / anchor.minimum,
        "ratio_ci": None if anchor is None else median_interval(medians / anchor.round_medians()),
        "anchor_ms": None if anchor is None else anchor.minimum,
        "runs": times.runs,
        "rounds": len(times.rounds),
        "energy_mj": times.millijoules,
    }
