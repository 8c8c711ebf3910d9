"""What every way of extrapolating a curve looks like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from optuna_nas.curves.curve import Curve
from optuna_nas.curves.posterior import Posterior


class Predictor(Protocol):
    """A model that knows its study: it extrapolates any curve to one horizon."""

    def predict(self, curve: Curve) -> Posterior:
        """The belief of the loss at the horizon.

        Args:
            curve: At least one point, not diverged, its last step before the horizon.
        """
        ...


class CurveModel(Protocol):
    """A way of extrapolating learning curves; hashable, as what it says of peers is kept."""

    def __hash__(self) -> int: ...

    def fit(self, peers: Sequence[Curve], horizon: float) -> Predictor:
        """Take in the other curves of the study.

        The work is done here or kept by the predictor, so that many curves of one study can be
        asked about cheaply; fit again when a peer has finished.

        Args:
            peers: Curves with at least one point, none diverged; those that have not reached the
                horizon are still running.
            horizon: The step that is asked about, positive.
        """
        ...
