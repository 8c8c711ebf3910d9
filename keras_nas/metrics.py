"""What a search may optimise: each metric's direction, and what it is for an untrained network."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from optuna_nas.errors import NASError


class MetricError(NASError, ValueError):
    """An objective is unknown, or named twice."""


@dataclass(frozen=True)
class Metric:
    """One number by which candidates are compared.

    Args:
        name: As users write it and as the report shows it.
        maximize: Whether more is better.
        trained: Whether it is known only after training.
        curve: The learning curve it is read from, for trained ones.
    """

    name: str
    maximize: bool = False
    trained: bool = False
    curve: str | None = None

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Optuna's name of the direction."""
        return "maximize" if self.maximize else "minimize"

    def of_curve(self, value: float) -> float:
        """The metric from a point of its learning curve."""
        return 1.0 - value if self.name == "error" else value

    def untrained(self, classes: int) -> float:
        """What guessing evenly among the classes gives."""
        guesses = {
            "accuracy": 1.0 / classes,
            "error": 1.0 - 1.0 / classes,
            "loss": math.log(classes),
        }
        return guesses[self.name]


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", maximize=True, trained=True, curve="val_accuracy"),
        Metric("error", trained=True, curve="val_accuracy"),
        Metric("loss", trained=True, curve="val_loss"),
        Metric("latency_ms"),
        Metric("params"),
        Metric("macs"),
        Metric("size_bytes"),
        Metric("peak_activation_bytes"),
    )
}


def metrics_named(names: Sequence[str]) -> tuple[Metric, ...]:
    """Look metrics up by name.

    Raises:
        MetricError: A name is unknown or comes twice, or there is none.
    """
    if isinstance(names, str):
        names = (names,)
    if not names:
        raise MetricError(f"objectives must name at least one of {', '.join(METRICS)}", names)
    for name in names:
        if name not in METRICS:
            near = difflib.get_close_matches(str(name), METRICS, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            known = ", ".join(METRICS)
            raise MetricError(f"unknown objective {name!r}{hint}; choose among {known}", name)
    if len(set(names)) < len(names):
        raise MetricError(f"objectives name one twice: {', '.join(names)}", names)
    return tuple(METRICS[name] for name in names)
