"""How large differences of the loss are, where a curve alone can't tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.curves.curve import Curve


def fallback_scale(curve: Curve, peers: Sequence[Curve]) -> float:
    """The curve's range; of a constant curve the peers'; else a part of its magnitude.

    Returns:
        A positive number in the units of the losses. It moves with the values' unit, and, but for
        a constant curve without peers, does not depend on where their zero is.
    """
    magnitude = float(np.abs(curve.losses).max())
    smallest = 1e-9 * magnitude
    own = float(np.ptp(curve.losses))
    if own > smallest:
        return own
    of_peers = [float(np.ptp(peer.losses)) for peer in peers]
    if of_peers and (typical := float(np.median(of_peers))) > smallest:
        return typical
    return 0.1 * magnitude if magnitude > 0 else 0.1
