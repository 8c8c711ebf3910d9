"""The volume that a front dominates, the usual measure of several objectives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hypervolume(losses: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Volume of what is dominated by a point and dominates the reference.

    By slices along the last objective, recursively (While et al. 2006, "HSO"). Quick for two and
    three objectives; the cost grows exponentially with their number.

    Args:
        losses: Shape (points, objectives), minimised; points beyond the reference do not count.
        reference: Shape (objectives,).
    """
    inside = losses[np.all(losses < reference, axis=1)]
    if not len(inside):
        return 0.0
    if losses.shape[1] == 1:
        return float(reference[0] - inside.min())
    inside = inside[np.argsort(inside[:, -1], kind="stable")]
    ends = np.append(inside[1:, -1], reference[-1])
    return sum(
        float(end - start) * hypervolume(inside[: index + 1, :-1], reference[:-1])
        for index, (start, end) in enumerate(zip(inside[:, -1], ends, strict=True))
        if end > start
    )
