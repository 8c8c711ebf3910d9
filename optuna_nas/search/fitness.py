"""What individuals are compared by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum


class Evidence(IntEnum):
    """How much is known of an individual; more goes first in a comparison."""

    VALUES = 0  # measured, or predicted by a pruner
    REPORT = 1  # stopped early, with a last report
    NOTHING = 2  # stopped before it reported anything
    FAILURE = 3  # raised an error, ran out of memory, lost its process


@dataclass(frozen=True, slots=True)
class Fitness:
    """How good an individual is. Smaller is better everywhere.

    Attributes:
        losses: One number an objective, negated where it is maximised. For `Evidence.REPORT`:
            the negated step of the last report, then its loss, so that who ran longer goes first.
        violation: Sum of constraint violations; 0 is feasible.
        evidence: How much is known.
    """

    losses: tuple[float, ...]
    violation: float = 0.0
    evidence: Evidence = Evidence.VALUES

    @property
    def key(self) -> tuple[float, int, tuple[float, ...]]:
        """Order by feasibility first, then by evidence, then by the losses."""
        return self.violation, self.evidence, self.losses

    @property
    def comparable(self) -> bool:
        """Whether the losses take part in non-domination: feasible and valued."""
        return self.violation == 0.0 and self.evidence == Evidence.VALUES


def loss_of(value: float, *, maximize: bool) -> float:
    """Value to loss; NaN is worse than everything."""
    if math.isnan(value):
        return math.inf
    return -value if maximize else value
