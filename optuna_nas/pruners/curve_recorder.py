"""Reports and pruning for any training loop, also with several objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType

import optuna

from optuna_nas._optuna import CurveRecord, frozen_of, objectives_of, save_curve
from optuna_nas.pruners.learning_curve import LearningCurvePruner

MOST_POINTS = 200  # stored of a curve: databases hold 64 KB an attribute


class CurveRecorder:
    """Takes a trial's reports and says when to stop it, with one or several objectives.

    With one objective it passes reports to ``trial.report`` and asks ``trial.should_prune``, so
    that any pruner works. With several, Optuna refuses both: then the curve is kept here, and the
    trial is stopped when a `LearningCurvePruner` finds its chance to join the Pareto front too
    small. The curve is stored with the trial in one write when the ``with`` block is left or the
    trial is to be stopped; only trials with a stored curve can be learned from.

    Given a frozen or fixed trial (an objective called again with ``study.best_trial``) it does
    nothing.

    Args:
        trial: The running trial.
        known: Final values of the objectives that are certain before training (latency,
            parameters), by name or index; the others are reported. Names are those of
            ``study.set_metric_names``.
        max_step: The last step of this trial, where it isn't the pruner's own. With several
            objectives only.
        pruner: Decides for several objectives; by default the study's, if it is a
            `LearningCurvePruner`. Without one nothing is stopped.

    Raises:
        ValueError: A known objective does not exist, or none is left to report.

    Example:
        ::

            with CurveRecorder(trial, known={"latency_ms": latency}) as recorder:
                for epoch in range(1, epochs + 1):
                    accuracy = train_one_epoch(model)
                    recorder.report(accuracy, epoch)
                    if recorder.should_prune():
                        raise optuna.TrialPruned
            return accuracy, latency
    """

    def __init__(
        self,
        trial: optuna.trial.BaseTrial,
        *,
        known: Mapping[str | int, float] | None = None,
        max_step: int | None = None,
        pruner: LearningCurvePruner | None = None,
    ) -> None:
        self._trial = trial if isinstance(trial, optuna.Trial) else None
        self._max_step = max_step
        self._names: tuple[str, ...] = ()
        self._known: dict[int, float] = {}
        if self._trial is not None:
            study = self._trial.study
            self._names = objectives_of(study)
            self._known = self._indexed(known or {})
            if pruner is None and isinstance(study.pruner, LearningCurvePruner):
                pruner = study.pruner
        self._pruner = pruner
        self._learned = [i for i in range(len(self._names)) if i not in self._known]
        if self._names and not self._learned:
            raise ValueError(
                f"known: at least one objective must be left to report, but all of "
                f"{', '.join(self._names)} are given."
            )
        self._steps: list[int] = []
        self._values: dict[int, list[float]] = {i: [] for i in self._learned}
        self._saved = False

    def report(self, value: float | Sequence[float] | Mapping[str, float], step: int) -> None:
        """Take what was measured at a step.

        Args:
            value: A number where one objective is left to report; else one for each of them in
                the order of the objectives, or by name.
            step: Larger than that of the report before.

        Raises:
            ValueError: There are too few or too many values, or the step was reported before.
        """
        if self._trial is None:
            return
        values = self._unpacked(value)
        if len(self._names) == 1:
            self._trial.report(values[0], step)
            return
        if self._steps and step <= self._steps[-1]:
            raise ValueError(f"step must be above the last one, {self._steps[-1]}, got {step}.")
        self._steps.append(int(step))
        for index, of_objective in zip(self._learned, values, strict=True):
            self._values[index].append(of_objective)

    def should_prune(self) -> bool:
        """Whether to stop the trial, by raising `optuna.TrialPruned`."""
        if self._trial is None:
            return False
        if len(self._names) == 1:
            return self._trial.should_prune()
        if self._pruner is None or not self._steps:
            return False
        frozen = frozen_of(self._trial)
        decision = self._pruner.decide(
            self._trial.study, frozen, self._record(), known=self._known, max_step=self._max_step
        )
        if decision.prune:
            self._save(decision.record())
        return decision.prune

    def save(self) -> None:
        """Store the curve with the trial; called when a ``with`` block is left without an error."""
        if len(self._names) > 1 and self._steps:
            self._save(CurveRecord())

    def __enter__(self) -> CurveRecorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None or issubclass(kind, optuna.TrialPruned):
            self.save()

    def _save(self, judgement: CurveRecord) -> None:
        if self._saved or self._trial is None:
            return
        self._saved = True
        curve = self._record(most=MOST_POINTS)
        record = replace(judgement, steps=curve.steps, values=curve.values)
        save_curve(self._trial.study, self._trial, record)

    def _record(self, most: int | None = None) -> CurveRecord:
        """The curve so far, of at most so many points, the last among them."""
        stride = 1 if most is None else math.ceil(len(self._steps) / most)
        kept = slice((len(self._steps) - 1) % stride, None, stride)
        values: list[Sequence[float] | float] = [
            self._known[i] if i in self._known else self._values[i][kept]
            for i in range(len(self._names))
        ]
        return CurveRecord(steps=self._steps[kept], values=values)

    def _indexed(self, known: Mapping[str | int, float]) -> dict[int, float]:
        found = {}
        for key, value in known.items():
            index = self._names.index(key) if key in self._names else key
            if not isinstance(index, int) or not 0 <= index < len(self._names):
                raise ValueError(
                    f"known: {key!r} is no objective of this study; expected one of "
                    f"{', '.join(self._names)}, or an index below {len(self._names)}. Names are "
                    "given with study.set_metric_names."
                )
            found[index] = float(value)
        return found

    def _unpacked(self, value: float | Sequence[float] | Mapping[str, float]) -> list[float]:
        names = [self._names[i] for i in self._learned]
        if isinstance(value, Mapping):
            if set(value) != set(names):
                raise ValueError(f"value: expected {', '.join(names)}, got {', '.join(value)}.")
            return [float(value[name]) for name in names]
        values = [float(v) for v in value] if isinstance(value, Sequence) else [float(value)]
        if len(values) != len(names):
            raise ValueError(
                f"value: expected {len(names)} ({', '.join(names)}), got {len(values)}. Give "
                "objectives that are certain before training as known=."
            )
        return values
