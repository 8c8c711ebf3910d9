"""What a study keeps of its supernet, ready to be drawn: probabilities and figures by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from optuna_nas._optuna import supernet_of
from optuna_nas.errors import NASError
from optuna_nas.report.reading import StudyReading
from optuna_nas.report.text import plain
from optuna_nas.report.winner import stored_space

if TYPE_CHECKING:
    from optuna_nas.space import SearchSpace

Epochs = Mapping[int, Mapping[str, "Sequence[float | None] | NDArray[np.float64]"]]
"""By epoch and decision: a logit for each value, in the order of the decision's domain."""


@dataclass(frozen=True, eq=False)
class SupernetHistory:
    """How a gradient-based search went.

    Args:
        epochs: Numbers of the epochs that are known.
        values: By decision: what its values are called. Decisions that were never moved from where
            all values are alike are left out.
        probabilities: By decision: softmax of the logits, (epochs, values).
        status: Of each epoch: what the supernet said of itself.
    """

    epochs: tuple[int, ...]
    values: Mapping[str, tuple[str, ...]]
    probabilities: Mapping[str, NDArray[np.float64]]
    status: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(
        cls,
        space: SearchSpace,
        epochs: Epochs,
        status: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> SupernetHistory:
        """The history of logits such as those of a `GradientSource`; None is minus infinity."""
        numbers = tuple(sorted(epochs))
        values: dict[str, tuple[str, ...]] = {}
        probabilities: dict[str, NDArray[np.float64]] = {}
        for name, domain in space.distributions().items():
            rows = [epochs[number][name] for number in numbers if name in epochs[number]]
            if not rows or len(rows) < len(numbers):
                continue
            logits = np.array([[_logit(logit) for logit in row] for row in rows])
            shares = softmax(logits, axis=1)
            if np.ptp(shares, axis=1).any():
                values[name] = tuple(plain(value) for value in domain.values())
                probabilities[name] = shares
        known = status or {}
        return cls(numbers, values, probabilities, tuple(known.get(n, {}) for n in numbers))

    def chosen(self, decision: str) -> list[int | None]:
        """Position of the most probable value in each epoch; None where all are alike."""
        shares = self.probabilities[decision]
        return [int(row.argmax()) if np.ptp(row) > 0 else None for row in shares]

    def figure(self, name: str) -> NDArray[np.float64]:
        """A figure of the status, (epochs,); NaN where it is not known."""
        found = [status.get(name) for status in self.status]
        return np.array([float(v) if isinstance(v, int | float) else np.nan for v in found])

    @property
    def alarms(self) -> dict[int, str]:
        """Epochs in which the search was held to have collapsed, and why."""
        raised = zip(self.epochs, (status.get("alarm") for status in self.status), strict=True)
        return {
            epoch: alarm if isinstance(alarm, str) else "its alarm was raised"
            for epoch, alarm in raised
            if alarm
        }

    def runs(self, decision: str) -> list[tuple[int, int, int]]:
        """Stretches with one most probable value: first and last epoch, position of the value."""
        found: list[tuple[int, int, int]] = []
        before: int | None = None
        for epoch, position in zip(self.epochs, self.chosen(decision), strict=True):
            if position is not None and position == before:
                found[-1] = (found[-1][0], epoch, position)
            elif position is not None:
                found.append((epoch, epoch, position))
            before = position
        return found


def read_supernet(reading: StudyReading, space: SearchSpace | None) -> SupernetHistory | None:
    """The history of a study's supernet; None where it has none, or its space is not known."""
    stored = supernet_of(reading.study)
    if stored is None or not stored[1]:
        return None
    if space is None:
        try:
            space = stored_space(reading)
        except NASError:
            return None
    if space is None:
        return None
    logits = {number: epoch.logits for number, epoch in stored[1].items()}
    status = {number: epoch.status for number, epoch in stored[1].items()}
    return SupernetHistory.of(space, logits, status)


def alarm_text(history: SupernetHistory) -> str:
    """What to warn of; empty where all is well."""
    if not history.alarms:
        return ""
    first, last = min(history.alarms), max(history.alarms)
    when = f"in epoch {first}" if first == last else f"in epochs {first} to {last}"
    reason = history.alarms[last].rstrip(".")
    if last == history.epochs[-1]:
        return f"The search has collapsed, {when}: {reason}."
    return f"The search was held to have collapsed {when}, and recovered: {reason}."


def _logit(value: float | None) -> float:
    return -np.inf if value is None else float(value)
