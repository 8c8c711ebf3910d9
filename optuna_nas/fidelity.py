"""How much a trial may spend: the knobs by which training is made cheaper or dearer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optuna_nas.errors import NASError


class FidelityError(NASError, ValueError):
    """A fidelity is out of its range."""


@dataclass(frozen=True)
class Fidelity:
    """What one training may use.

    Values of trials are comparable at equal fidelity only, so it is part of what a study is bound
    to.

    Args:
        epochs: Passes over the training rows, 1 or more.
        data_fraction: Share of the training rows used, above 0 and at most 1; the same rows for
            every candidate.
    """

    epochs: int
    data_fraction: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.epochs, bool) or not isinstance(self.epochs, int) or self.epochs < 1:
            raise FidelityError(f"epochs must be an integer of 1 or more, got {self.epochs!r}")
        if not 0.0 < self.data_fraction <= 1.0:
            raise FidelityError(
                f"data_fraction must be above 0 and at most 1, got {self.data_fraction!r}"
            )

    def rows(self, total: int, *, at_least: int = 1) -> int:
        """How many of ``total`` rows are used."""
        return min(total, max(at_least, round(self.data_fraction * total)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for storage."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Fidelity:
        """Make what `to_dict` described."""
        return cls(**values)
