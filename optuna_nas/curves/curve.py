"""One learning curve as the models see it, and what is done to raw values first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optuna_nas.errors import CurveError

Array = NDArray[np.float64]

# Beyond this the squares of a curve's differences overflow.
LARGEST = 1e150


@dataclass(frozen=True, eq=False)
class Curve:
    """Losses at increasing steps. Smaller is better here, whatever the user's direction.

    Attributes:
        steps: Shape ``(n,)``, strictly increasing, not negative.
        losses: Shape ``(n,)``, finite.
        diverged: Whether the curve ended in NaN or infinity; the points before are kept.
    """

    steps: Array
    losses: Array
    diverged: bool = False

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def key(self) -> bytes:
        """Where the curve was observed; equal keys mean equal steps."""
        return self.steps.tobytes()

    @cached_property
    def losses_key(self) -> bytes:
        """Equal keys mean equal losses."""
        return self.losses.tobytes()

    @property
    def last_step(self) -> float:
        """The last step; the curve has one."""
        return float(self.steps[-1])

    @property
    def last(self) -> float:
        """The last loss; the curve has one."""
        return float(self.losses[-1])

    def until(self, step: float) -> Curve:
        """The curve as it was at `step`."""
        count = int(np.searchsorted(self.steps, step, side="right"))
        if count == len(self):
            return self
        return Curve(self.steps[:count], self.losses[:count])

    def up_to(self, step: float) -> Curve:
        """The curve as it was at `step`; one that went on ends there, by linear interpolation."""
        before = self.until(step)
        if len(before) in (0, len(self)) or before.last_step == step:
            return before
        loss = np.interp(step, self.steps, self.losses)
        return Curve(np.append(before.steps, step), np.append(before.losses, loss))

    @classmethod
    def read(
        cls, values: ArrayLike, steps: ArrayLike | None, *, maximize: bool, name: str = "values"
    ) -> Curve:
        """Check raw values, turn them into losses, drop what is not a number and tame spikes.

        Args:
            values: Shape ``(n,)``; NaN and infinities stand for a failure of that step.
            steps: Shape ``(n,)``, strictly increasing; None for 1, 2, ..., n.
            maximize: Whether larger values are better.
            name: What the error messages call the values.

        Raises:
            CurveError: If the shapes differ or the steps are not increasing.
        """
        losses = np.asarray(values, dtype=float)
        if losses.ndim != 1:
            raise CurveError(f"{name}: expected one dimension, got shape {losses.shape}.", values)
        if steps is None:
            positions = np.arange(1.0, len(losses) + 1.0)
        else:
            positions = np.asarray(steps, dtype=float)
            if positions.shape != losses.shape:
                raise CurveError(
                    f"steps of {name}: expected shape {losses.shape}, one a value, "
                    f"got {positions.shape}.",
                    steps,
                )
            increasing = bool(np.all(np.diff(positions, prepend=-np.inf) > 0))
            if not np.isfinite(positions).all() or not increasing or np.any(positions < 0):
                raise CurveError(
                    f"steps of {name}: expected increasing finite numbers, none negative, "
                    f"got {steps!r}.",
                    steps,
                )
        if maximize:
            losses = -losses
        finite = np.abs(losses) < LARGEST
        diverged = bool(len(losses)) and not bool(finite[-1])
        if not finite.all():
            positions, losses = positions[finite], losses[finite]
        return cls(positions, without_spikes(losses), diverged)


def without_spikes(losses: Array) -> Array:
    """Cut lonely jumps for the worse down to size.

    A point that exceeds both its neighbours by more than the range of all other points says
    nothing of where training goes, and squared it would outweigh all other points. It is set to
    the worse neighbour plus that range. The last point has one neighbour; where the next one
    confirms it, it is no spike any more.

    Args:
        losses: Shape ``(n,)``, smaller is better.

    Returns:
        Shape ``(n,)``; the argument itself where nothing was cut.
    """
    if len(losses) < 4:
        return losses
    neighbours = np.empty_like(losses)
    neighbours[1:-1] = np.maximum(losses[:-2], losses[2:])
    neighbours[-1] = losses[-2]
    neighbours[0] = losses[0]  # the first point is where training starts from
    excess = losses - neighbours
    ordered = np.sort(losses)
    if excess.max() <= 0.5 * (ordered[-1] - ordered[0]):
        return losses  # the common case: no jump can exceed the range of the others
    tamed = losses.copy()
    for index in np.flatnonzero(excess > 0.5 * (ordered[-1] - ordered[0])):
        others = np.delete(losses, index)
        spread = others.max() - others.min()
        if spread > 0.0:  # a single jump is all that is known of the scale of a constant curve
            tamed[index] = min(tamed[index], neighbours[index] + spread)
    return tamed
