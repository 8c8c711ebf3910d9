"""The front door: raw values in, a posterior in the same units out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from optuna_nas.curves.closed_form import ClosedForm
from optuna_nas.curves.curve import Curve
from optuna_nas.curves.last_value import LastValue
from optuna_nas.curves.model import CurveModel, Predictor
from optuna_nas.curves.network import Network
from optuna_nas.curves.parametric import Parametric
from optuna_nas.curves.posterior import Posterior
from optuna_nas.curves.prior import from_peers_alone
from optuna_nas.curves.warm import Warm
from optuna_nas.errors import CurveError

METHODS: Mapping[str, CurveModel] = {
    "last_value": LastValue(),
    "parametric": Parametric(),
    "closed_form": ClosedForm(),
    "network": Network(),
    "warm": Warm(Network()),
}
DEFAULT = "warm"


class Extrapolator:
    """Extrapolates the curves of one study to one horizon.

    Conditioning on the study's other curves is the expensive part; it is done once here for many
    predictions.

    Args:
        horizon: The step whose value is asked for, positive.
        direction: "maximize" or "minimize".
        method: One of `METHODS`, or a model of your own.

    Raises:
        CurveError: If an argument has no meaning.
    """

    def __init__(
        self, horizon: float, direction: str, *, method: str | CurveModel = DEFAULT
    ) -> None:
        if not (math.isfinite(horizon) and horizon > 0):
            raise CurveError(f"horizon: expected a positive step, got {horizon!r}.", horizon)
        if direction not in ("maximize", "minimize"):
            raise CurveError(
                f'direction: expected "maximize" or "minimize", got {direction!r}.', direction
            )
        if isinstance(method, str):
            if method not in METHODS:
                raise CurveError(
                    f"method: expected one of {', '.join(METHODS)} or a model, got {method!r}.",
                    method,
                )
            method = METHODS[method]
        self._horizon = float(horizon)
        self._maximize = direction == "maximize"
        self._model = method
        self._peers: list[Curve] = []
        self._predictor: Predictor = method.fit([], self._horizon)

    def fit(
        self,
        peers: Sequence[ArrayLike],
        *,
        peer_steps: Sequence[ArrayLike | None] | None = None,
    ) -> Extrapolator:
        """Condition on other curves of the study, in place of those given before.

        Args:
            peers: Finished and running curves, of any lengths. One is finished when its last step
                reaches the horizon; what came later only serves to know the value there.
            peer_steps: The steps of each peer; None, or None for a peer, for 1, 2, ..., n.

        Raises:
            CurveError: If values and steps don't fit together.
        """
        if peer_steps is None:
            peer_steps = [None] * len(peers)
        if len(peer_steps) != len(peers):
            raise CurveError(
                f"peer_steps: expected {len(peers)} of them, one a peer, got {len(peer_steps)}.",
                peer_steps,
            )
        curves = []
        for index, (values, steps) in enumerate(zip(peers, peer_steps, strict=True)):
            curve = Curve.read(values, steps, maximize=self._maximize, name=f"peers[{index}]")
            curve = curve.up_to(self._horizon)
            if len(curve) > 0 and not curve.diverged:
                curves.append(curve)
        self._peers = curves
        self._predictor = self._model.fit(curves, self._horizon)
        return self

    def predict(self, values: ArrayLike, *, steps: ArrayLike | None = None) -> Posterior:
        """The belief of a curve's value at the horizon.

        Args:
            values: Shape ``(n,)``, what was reported so far; n may be 0 where there are finished
                peers. Steps that ended in NaN or infinity are ignored, unless it is the last one:
                then the curve has diverged.
            steps: Shape ``(n,)``, strictly increasing; None for 1, 2, ..., n.

        Raises:
            CurveError: If there is nothing to extrapolate from, or the curve is already past the
                horizon.
        """
        curve = Curve.read(values, steps, maximize=self._maximize)
        if curve.diverged:
            return Posterior.of_diverged(maximize=self._maximize)
        posterior = self._predict(curve)
        return posterior.negated() if self._maximize else posterior

    def _predict(self, curve: Curve) -> Posterior:
        if len(curve) == 0:
            return from_peers_alone(self._peers, self._horizon)
        if curve.last_step > self._horizon:
            raise CurveError(
                f"horizon: expected a step not before the last one of the curve, "
                f"{curve.last_step:g}, got {self._horizon:g}.",
                self._horizon,
            )
        if curve.last_step == self._horizon:
            # Nothing is left to happen; a scale above 0 keeps densities finite.
            scale = 1e-9 * max(abs(curve.last), 1e-9)
            return Posterior.single(curve.last, scale, 4, maximize=False)
        return self._predictor.predict(curve)


def extrapolate(
    values: ArrayLike,
    horizon: float,
    direction: str,
    peers: Sequence[ArrayLike] | None = None,
    *,
    steps: ArrayLike | None = None,
    peer_steps: Sequence[ArrayLike | None] | None = None,
    method: str | CurveModel = DEFAULT,
) -> Posterior:
    """Where a learning curve will be at the horizon.

    Args:
        values: Shape ``(n,)``, what was reported so far.
        horizon: The step whose value is asked for; without `steps`, the full number of reports.
        direction: "maximize" or "minimize".
        peers: Other curves of the same study, finished or still running, of any lengths.
        steps: Shape ``(n,)``, strictly increasing; None for 1, 2, ..., n.
        peer_steps: The steps of each peer.
        method: One of `METHODS`, or a model of your own.

    Returns:
        The posterior, in the units of `values`. Use `Extrapolator` for many curves of one study.

    Raises:
        CurveError: If an argument has no meaning, or there is nothing to extrapolate from.

    Example:
        >>> posterior = extrapolate([0.2, 0.5, 0.6, 0.64], 20, "maximize")
        >>> 0.6 < posterior.mean < 0.8
        True
    """
    extrapolator = Extrapolator(horizon, direction, method=method)
    if peers is not None and len(peers) > 0:
        extrapolator.fit(peers, peer_steps=peer_steps)
    return extrapolator.predict(values, steps=steps)
