"""Learning from the study's own finished curves: the strongest evidence there is.

Own method. A cold model forecasts every finished peer from as much of it as the curve in question
has. How the peers' finals relate to those forecasts and to the losses at that step is then learned
in two ways, each with a leave-one-out forecast of every peer: by small Bayesian regressions, and by
analogs, which say that what came of one peer may come of another. All of them and the cold forecast
are mixed with the weights that forecast the peers best, stacking of predictive distributions (Yao
et al. 2018, equation 4), found by EM.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from optuna_nas.curves.curve import Curve
from optuna_nas.curves.model import CurveModel, Predictor
from optuna_nas.curves.posterior import Posterior
from optuna_nas.curves.stack import Outcome, Stack

Array = NDArray[np.float64]

MOST_PEERS = 64  # the last ones given; more would cost time and say little
FEWEST_PEERS = 3
# At how many steps there is learned; no approximation where the horizon is at most so many steps.
MOST_STEPS = 128
FAR = 5.0  # of a typical curve's whole progress


@dataclass(frozen=True)
class Warm:
    """A cold model that learns from finished peers; without enough of them it is the cold model.

    Attributes:
        cold: What forecasts a curve without looking at others. Hashable, as its forecasts of the
            peers are kept from one `fit` to the next.
    """

    cold: CurveModel

    def fit(self, peers: Sequence[Curve], horizon: float) -> Predictor:
        """Keep the last finished peers; the rest is done at the first question about a step."""
        finished = [peer for peer in peers if peer.last_step >= horizon and len(peer) > 1]
        if len(finished) < FEWEST_PEERS:
            return self.cold.fit(peers, horizon)
        return WarmPredictor(self.cold, finished[-MOST_PEERS:], horizon)


class WarmPredictor:
    """`Warm` of one study.

    Args:
        cold: Forecasts without the peers.
        finished: Curves that reach the horizon.
        horizon: The step that is asked about.
    """

    def __init__(self, cold: CurveModel, finished: Sequence[Curve], horizon: float) -> None:
        self._model = cold
        self._cold = cold.fit(finished, horizon)
        self._horizon = horizon
        self._cap = highest_loss(finished)
        self._finished = [below(curve, self._cap) for curve in finished]
        self._stacks: dict[int, Stack | None] = {}

    def predict(self, curve: Curve) -> Posterior:
        """A mixture of what the peers say and the cold forecast."""
        if curve.last > self._cap:  # it has exploded, of which the others know nothing
            return self._cold.predict(curve)
        curve = below(curve, self._cap)
        part = min(math.ceil(curve.last_step / self._horizon * MOST_STEPS), MOST_STEPS - 1)
        if part not in self._stacks:
            self._stacks[part] = self._learn(part / MOST_STEPS * self._horizon)
        stack = self._stacks[part]
        cold = self._cold.predict(curve)
        return cold if stack is None else stack.predict(curve, cold)

    def _learn(self, step: float) -> Stack | None:
        """What the finished curves say of curves observed up to `step`."""
        last, finals, known = [], [], []
        counts: dict[bytes, int] = {}
        for peer in self._finished:
            if peer.key not in counts:  # at least 1: it may have been evaluated later at first
                count = int(np.searchsorted(peer.steps, step, side="right"))
                counts[peer.key] = max(1, count)
            count = counts[peer.key]
            loss = float(peer.losses[count - 1])
            if loss == self._cap:  # exploded before, nothing to learn for a sound curve
                continue
            last.append(loss)
            finals.append(peer.last)
            known.append(_outcome(self._model, self._horizon, peer.key, peer.losses_key, count))
        if len(last) < FEWEST_PEERS:
            return None
        return Stack.fit(np.array(last), np.array(finals), known)


@lru_cache(maxsize=MOST_PEERS * MOST_STEPS)
def _outcome(model: CurveModel, horizon: float, steps: bytes, losses: bytes, count: int) -> Outcome:
    """A finished curve's cold forecast from its first points, asked for again at every new peer."""
    curve = Curve(np.frombuffer(steps)[:count], np.frombuffer(losses)[:count])
    return Outcome.of(model.fit([], horizon).predict(curve), float(np.frombuffer(losses)[-1]))


def highest_loss(finished: Sequence[Curve]) -> float:
    """Above it a loss has exploded, and how far says nothing; robust to exploded peers."""
    start = float(np.median([curve.losses[0] for curve in finished]))
    best = min(float(curve.losses.min()) for curve in finished)
    return start + FAR * (start - best) if start > best else np.inf


def below(curve: Curve, cap: float) -> Curve:
    """The curve with its losses cut at `cap`; itself where none is above."""
    if curve.losses.max() <= cap:
        return curve
    return Curve(curve.steps, np.minimum(curve.losses, cap))
