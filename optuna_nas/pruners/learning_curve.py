"""Stopping trials whose learning curve will hardly become good enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_nas._arguments import check_count, check_share
from optuna_nas._optuna import CurveRecord, curve_of, save_curve
from optuna_nas._study_memories import PerStudy
from optuna_nas.curves import CurveModel, Extrapolator
from optuna_nas.curves.extrapolation import DEFAULT
from optuna_nas.pruners._chance import Below, certain, chance_to_join, joins
from optuna_nas.pruners._decisions import Decision, StudyMemory
from optuna_nas.pruners._study_curves import LossCurve, StudyCurves

Array = NDArray[np.float64]

HIGHEST_THRESHOLD = 0.1  # of the rate rule: early on, a study has seen too little for more
LOWEST_THRESHOLD = 0.005  # of the rate rule: smaller probabilities are matters of the model's tails
FEWEST_REPORTS = 2
CAUTIOUS = 0.15  # share of the horizon in which the threshold grows to its full value


class LearningCurvePruner(BasePruner):
    """Prune a trial when its learning curve, extrapolated, will hardly beat the best.

    After a report the curve is extrapolated to the last step, learning from the curves of finished
    trials (`optuna_nas.curves`). The trial is pruned when the probability that it will be better
    than the best so far is below a threshold. Unless a fixed one is given the threshold is what
    the steps left are worth::

        threshold = steps_left / steps_spent,  but from 0.005 to 0.1

    where ``steps_spent`` is the sum over all finished trials. So many steps have given one best
    trial, so in the steps that are left fresh trials promise a new best with about that
    probability: the trial under way goes on while it promises more.

    The first steps say least, and what is predicted from them is least reliable. So either
    threshold is multiplied by ``step / (0.15 max_step)`` before that step: what is hopeless ends
    soon, and doubtful trials get time.

    A trial is never pruned by its prediction among the first trials or at its first report, when
    one of its reports is already better than the best trial's last, or while it is among the best
    fifth of the latest trials at the same step. Two reports in a row that are NaN or infinite end a
    trial at any time.

    On recorded curves of six data sets the best trial was pruned in 20 % of the studies that began
    some 130 trials with the steps of 20 full ones, and among the first 20 trials in 11 %; regret at
    equal cost was half of that without pruning (``benchmarks/results/pruning.md``).

    The prediction of a pruned trial is kept in its user attribute ``optuna_nas:curve``, where the
    samplers of this project find it; nothing else is written. Asked again about a step, the pruner
    gives the same answer, and a trial once to be pruned stays so. All decisions follow from the
    finished trials in the study's storage.

    With several objectives, for which Optuna takes no reports, use a `CurveRecorder`.

    Args:
        max_step: The last step of a trial, as given to ``trial.report``; a function of the trial
            where that differs between trials. None takes the largest of the completed trials, which
            makes trials that will end earlier look better than they are.
        min_probability: Fixed threshold in place of the one above.
        top_fraction: What counts as good enough: 0 asks for a trial better than the best so far,
            0.1 for one among the best tenth. With several objectives only 0, joining the front.
        n_startup_trials: Completed trials before any is pruned.
        n_warmup_steps: Trials are not pruned before this step, nor at their first report.
        interval_steps: Steps from one decision to the next.
        protected_fraction: Best share of the latest trials at a step that is never pruned there.
        method: How curves are extrapolated: a name from `optuna_nas.curves.METHODS` or a model.

    Raises:
        ValueError: An argument has no meaning.
        CurveError: There is no such method.

    Example:
        >>> import optuna
        >>> study = optuna.create_study(direction="maximize", pruner=LearningCurvePruner())
    """

    def __init__(
        self,
        max_step: int | Callable[[FrozenTrial], int] | None = None,
        *,
        min_probability: float | None = None,
        top_fraction: float = 0.0,
        n_startup_trials: int = 3,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        protected_fraction: float = 0.2,
        method: str | CurveModel = DEFAULT,
    ) -> None:
        if max_step is not None and not callable(max_step):
            check_count("max_step", max_step)
        if min_probability is not None:
            check_share("min_probability", min_probability)
        check_share("top_fraction", top_fraction)
        check_count("n_startup_trials", n_startup_trials, least=0)
        check_count("n_warmup_steps", n_warmup_steps, least=0)
        check_count("interval_steps", interval_steps)
        check_share("protected_fraction", protected_fraction)
        Extrapolator(1, "minimize", method=method)  # refuses an unknown method now, not in a trial
        self._max_step = max_step
        self._min_probability = min_probability
        self._top_fraction = top_fraction
        self._n_startup_trials = n_startup_trials
        self._n_warmup_steps = n_warmup_steps
        self._interval_steps = interval_steps
        self._protected_fraction = protected_fraction
        self._method = method
        self._memories: PerStudy[StudyMemory] = PerStudy()

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Judge a trial by what it reported; see `optuna.pruners.BasePruner`."""
        if not trial.intermediate_values:
            return False
        step = max(trial.intermediate_values)
        stored = curve_of(trial)
        if stored is not None and stored.stopped_at is not None and step >= stored.stopped_at:
            return True  # another process said so
        with self._memories.lock:
            memory = self._memory(study)
            known = memory.decisions.get(trial.number)
            if known is not None and (known.prune or known.step == step):
                return known.prune
            curve = memory.curves.curve(trial)
            decision = self._decide(study, trial, curve, {}, None)
        if decision.predicted is not None and decision.prune and stored is None:
            save_curve(study, trial, decision.record())
        return decision.prune

    def decide(
        self,
        study: Study,
        trial: FrozenTrial,
        curve: CurveRecord,
        *,
        known: Mapping[int, float],
        max_step: int | None = None,
    ) -> Decision:
        """Judge a trial of several objectives by a curve kept elsewhere. Writes nothing.

        Args:
            study: The study of the trial.
            trial: The running trial.
            curve: Steps and values of its reports.
            known: Objectives, by index, whose final values are certain.
            max_step: The last step of this trial, in place of the pruner's own.
        """
        with self._memories.lock:
            memory = self._memory(study)
            losses = memory.curves.read(curve.steps, curve.values)
            earlier = memory.decisions.get(trial.number)
            if earlier is not None and (earlier.prune or earlier.step == losses.last_step):
                return earlier
            return self._decide(study, trial, losses, known, max_step)

    def _memory(self, study: Study, trials: Sequence[FrozenTrial] = ()) -> StudyMemory:
        return self._memories.of(study, lambda: StudyMemory(StudyCurves(study.directions)), trials)

    def _decide(
        self,
        study: Study,
        trial: FrozenTrial,
        curve: LossCurve,
        known: Mapping[int, float],
        max_step: int | None,
    ) -> Decision:
        # Trials that other workers have finished since this one began count: not from the cache.
        trials = study.get_trials(deepcopy=False)
        memory = self._memory(study, trials)
        for number in memory.curves.update(trials):
            memory.decisions.pop(number, None)
        horizon: float | None = max_step
        if horizon is None:
            horizon = self._max_step(trial) if callable(self._max_step) else self._max_step
        horizon = memory.curves.longest if horizon is None else float(horizon)
        decision = self._judge(memory, curve, known, horizon)
        memory.decisions[trial.number] = decision
        return decision

    def _judge(
        self, memory: StudyMemory, curve: LossCurve, known: Mapping[int, float], horizon: float
    ) -> Decision:
        step = curve.last_step
        go_on = Decision(False, step)
        sound = curve.sound()
        if not sound[-1]:
            return Decision(len(curve.steps) > 1 and not sound[-2], step)
        curves = memory.curves
        if self._is_early(curve) or curves.completions < self._n_startup_trials:
            return go_on
        if self._top_fraction and len(curves.signs) > 1:
            raise ValueError(
                f"top_fraction must be 0 with several objectives, got {self._top_fraction}; trials "
                "are then kept when they may join the Pareto front."
            )
        goal = curves.top(self._top_fraction)
        if step >= horizon or len(goal) == 0 or joins(goal, curve.losses[sound].min(axis=0)):
            return go_on
        threshold = self._threshold(curves, step, horizon)
        if threshold == 0.0 or self._is_protected(curves, curve):
            return go_on
        beliefs: dict[int, Below] = {i: certain(v * curves.signs[i]) for i, v in known.items()}
        predicted, stds = dict(known), dict.fromkeys(known, 0.0)
        for index in range(len(curves.signs)):
            if index not in known:
                extrapolator = memory.extrapolator(horizon, index, self._method)
                posterior = extrapolator.predict(curve.losses[:, index], steps=curve.steps)
                beliefs[index] = posterior.cdf
                # Not the mean, which follows a few far possibilities.
                predicted[index] = float(curves.signs[index]) * posterior.quantile(0.5)
                stds[index] = posterior.std
        order = list(beliefs)  # known objectives first: they are cheap
        probability = chance_to_join(goal[:, order], [beliefs[i] for i in order])
        return Decision(
            probability < threshold,
            step,
            probability,
            threshold,
            predicted=tuple(predicted[i] for i in sorted(predicted)),
            std=tuple(stds[i] for i in sorted(stds)),
            max_step=horizon,
        )

    def _is_early(self, curve: LossCurve) -> bool:
        """Whether it is too early for a decision, or between two of them."""
        warmup = self._n_warmup_steps
        if len(curve.steps) < FEWEST_REPORTS or curve.last_step < warmup:
            return True
        if len(curve.steps) == FEWEST_REPORTS or curve.steps[-2] < warmup:
            return False
        before, now = (int((s - warmup) // self._interval_steps) for s in curve.steps[-2:])
        return before == now

    def _threshold(self, curves: StudyCurves, step: float, horizon: float) -> float:
        """The probability below which a trial is pruned."""
        threshold = self._min_probability
        if threshold is None:
            # So far every `spent / places` steps have given a trial that is good enough.
            places = curves.places(self._top_fraction)
            rate = (horizon - step) * places / max(curves.spent, 1.0)
            threshold = min(HIGHEST_THRESHOLD, max(LOWEST_THRESHOLD, rate))
        return threshold * min(1.0, step / (CAUTIOUS * horizon))

    def _is_protected(self, curves: StudyCurves, curve: LossCurve) -> bool:
        """Whether the trial is among the best at its step."""
        if self._protected_fraction == 0.0:
            return False
        here = [peer.at(curve.last_step) for peer in (*curves.completed, *curves.stopped)]
        reached = np.array([losses for losses in here if losses is not None])
        if len(reached) == 0:
            return True
        better = int(np.all(reached <= curve.losses[-1], axis=1).sum())
        return better < self._protected_fraction * (len(reached) + 1)
