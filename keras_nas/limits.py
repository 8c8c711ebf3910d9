"""Hard limits of a candidate, known before it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from optuna_nas.errors import NASError


@dataclass(frozen=True)
class Limits:
    """Hard limits of a candidate; one that passes any of them is rejected without training.

    Args:
        latency_ms: Largest latency in milliseconds, measured before training.
        params: Largest number of trainable parameters.
        macs: Largest number of multiply-accumulates for one input.
        size_bytes: Largest size of the exported file.
    """

    latency_ms: float | None = None
    params: int | None = None
    macs: int | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not value > 0:
                raise NASError(f"max_{name} must be above 0, got {value!r}", value)

    def violations(self, measured: Mapping[str, float]) -> dict[str, float]:
        """By how much of the limit each is passed; negative where there is room left."""
        return {
            name: (measured[name] - limit) / limit
            for name, limit in asdict(self).items()
            if limit is not None
        }
