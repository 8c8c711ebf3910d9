"""What is known before a curve has a single point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.curves.curve import Curve
from optuna_nas.curves.posterior import Posterior
from optuna_nas.errors import CurveError


def from_peers_alone(peers: Sequence[Curve], horizon: float) -> Posterior:
    """The finals of the finished peers, smoothed: one Student-t around each.

    Raises:
        CurveError: If no peer has finished.
    """
    finals = np.array([peer.last for peer in peers if peer.last_step >= horizon])
    if len(finals) == 0:
        raise CurveError(
            "values: expected at least one finite value or a finished peer, got neither; "
            "report a value first or give peers that reached the horizon.",
            [],
        )
    count = len(finals)
    spread = float(finals.std()) if count > 1 else 0.0
    if spread == 0.0:
        spread = 0.1 * abs(float(finals[0])) or 0.1
    # Silverman's rule (1986, equation 3.28).
    scale = spread * (4.0 / (3.0 * count)) ** 0.2 if count > 1 else spread
    weights = np.full(count, 1.0 / count)
    return Posterior(weights, finals, np.full(count, scale), 4, maximize=False)
