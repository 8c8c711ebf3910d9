"""What a pruner decided of a trial, and what it remembers of a study."""

from __future__ import annotations

from dataclasses import dataclass

from optuna_nas._optuna import CurveRecord
from optuna_nas.curves import CurveModel, Extrapolator
from optuna_nas.pruners._study_curves import StudyCurves


@dataclass(frozen=True)
class Decision:
    """What a pruner decided of a trial, and why.

    Attributes:
        prune: Whether the trial should stop.
        step: Last step that was reported.
        probability: Chance that the finished trial is good enough; None where it was not asked.
        threshold: The chance below which trials are stopped at that step.
        predicted: Median of the final value of each objective, in its unit.
        std: Standard deviation of each.
        max_step: The step that was predicted for.
    """

    prune: bool
    step: float
    probability: float | None = None
    threshold: float | None = None
    predicted: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    max_step: float | None = None

    def record(self) -> CurveRecord:
        """What is stored with a stopped trial."""
        return CurveRecord(
            predicted=self.predicted,
            std=self.std,
            probability=self.probability,
            threshold=self.threshold,
            stopped_at=int(self.step),
            max_step=self.max_step,
        )


class StudyMemory:
    """What a pruner remembers of one study; all but the decisions follows from the trials."""

    def __init__(self, curves: StudyCurves) -> None:
        self.curves = curves
        self.decisions: dict[int, Decision] = {}  # the last of each running trial
        self._extrapolators: dict[tuple[float, int], Extrapolator] = {}
        self._fitted = -1  # how many trials had completed

    def extrapolator(
        self, horizon: float, objective: int, method: str | CurveModel
    ) -> Extrapolator:
        """One that knows the latest finished curves of an objective."""
        if self._fitted != self.curves.completions:
            self._extrapolators.clear()
            self._fitted = self.curves.completions
        key = (horizon, objective)
        if key not in self._extrapolators:
            peers = [curve.of(objective, horizon) for curve in self.curves.completed]
            self._extrapolators[key] = Extrapolator(horizon, "minimize", method=method).fit(
                [losses for _, losses in peers], peer_steps=[steps for steps, _ in peers]
            )
        return self._extrapolators[key]
