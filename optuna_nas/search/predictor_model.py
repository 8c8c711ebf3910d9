"""What a predictor has learned: one Gaussian process an objective, and one for feasibility."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from optuna_nas.search.acquisition import (
    expected_hypervolume_improvement,
    expected_shortfall,
    positive_directions,
    probability_above,
    sampled_hypervolume_improvement,
)
from optuna_nas.search.fitness import Evidence, Fitness
from optuna_nas.search.surrogate import GaussianProcess, fit_hyperparameters
from optuna_nas.search.surrogate_columns import Columns, Features
from optuna_nas.search.surrogate_targets import clipped, half_ranked

Array = NDArray[np.float64]

# Hyperparameters are fitted to fewer individuals where there are many groups of features: the work
# is O(n^2 groups) an iteration.
_WORK = 2_000_000
# A loss further from the best than the worst tenth by so many times its distance is an outlier.
_OUTLYING = 5.0
# Of three objectives and more, expectations are means over so many samples and directions.
_SAMPLES, _DIRECTIONS = 16, 64


_BLAS, _BLAS_IN_USE = ThreadpoolController(), threading.RLock()

F = TypeVar("F", bound=Callable[..., Any])


def _one_thread(method: F) -> F:
    """Matrices are small here: where other processes run, more threads took twice as long.

    One after another, for the number of threads is the process's, and is put back afterwards.
    """

    @wraps(method)
    def alone(*args: Any, **kwargs: Any) -> Any:
        with _BLAS_IN_USE, _BLAS.limit(limits=1, user_api="blas"):
            return method(*args, **kwargs)

    return cast(F, alone)


class Model:
    """Predictions for candidates, learned from finished individuals.

    Args:
        features: Of the individuals that the columns and hyperparameters are made from.
        fitnesses: Theirs.
        known: Numbers of the objectives that are not predicted.
    """

    @_one_thread
    def __init__(
        self,
        features: Sequence[Features],
        fitnesses: Sequence[Fitness],
        known: Collection[int] = (),
    ) -> None:
        self._known = known
        self._columns = Columns(features)
        matrix = self._columns.matrix(features)
        able = [f for f in fitnesses if f.evidence != Evidence.FAILURE]
        # Until something is feasible, what is searched for is less violation.
        self._violations = all(fitness.violation > 0 for fitness in able)
        self._objectives = max((len(f.losses) for f in able if f.comparable), default=1)
        taken = [index for index, fitness in enumerate(fitnesses) if self._takes(fitness)]
        self._taken = [fitnesses[index] for index in taken]
        self._processes = {
            objective: self._process(matrix[taken], target)
            for objective, target in self._targets(self._taken).items()
        }
        labels = np.array([_label(fitness) for fitness in fitnesses])
        self._feasibility: GaussianProcess | None = None
        if len(set(labels.tolist())) > 1:
            self._feasibility = self._process(matrix, _standardised(labels)[0])
        self._labels = labels.tolist()

    @_one_thread
    def add(self, features: Features, fitness: Fitness) -> None:
        """One more finished individual."""
        row = self._columns.matrix([features])[0]
        if self._takes(fitness):
            self._taken.append(fitness)
            for process in self._processes.values():
                process.add(row)
        if self._feasibility is not None:
            self._labels.append(_label(fitness))
            self._feasibility.add(row)

    @_one_thread
    def acquisition(
        self,
        candidates: Sequence[Features],
        running: Sequence[Features],
        known: Array,
        rng: np.random.Generator,
    ) -> Array:
        """How much each candidate is expected to improve on what there is, shape (candidates,).

        Candidates under way are taken to have the values that are predicted for them ("kriging
        believer", Ginsbourger et al. 2010), so that the next ones go elsewhere.

        Args:
            candidates: What to choose from.
            running: What is being evaluated.
            known: Losses of the known objectives, shape (candidates, known objectives).
            rng: For three objectives and more.
        """
        at = self._columns.matrix(candidates)
        under_way = self._columns.matrix(running)
        if self._violations or self._objectives == 1:
            gain = self._improvement(at, under_way)
        else:
            gain = self._hypervolume_improvement(at, under_way, known, rng)
        if self._feasibility is not None:
            labels, threshold = _standardised(np.array(self._labels))
            mean, variance = self._feasibility.posterior(labels, at)
            feasible = probability_above(threshold, mean, variance)
            share = np.mean(np.array(self._labels) > 0.0)
            # Once little is to be gained where things work, what hardly can work must not win by
            # what it would be worth.
            gain = gain * feasible * np.where(feasible < 0.5 * share, 1e-9, 1.0)
        return gain

    def _takes(self, fitness: Fitness) -> bool:
        """Whether the objectives' processes learn from it.

        What violates a constraint often has made-up values.
        """
        if fitness.evidence == Evidence.FAILURE or (fitness.violation and not self._violations):
            return False
        return self._violations or self._objectives == 1 or fitness.comparable

    def _improvement(self, at: Array, under_way: Array) -> Array:
        target = self._targets(self._taken)[0]
        process = self._processes[0]
        best = float(process.smoothed(target).min())
        mean, variance = _believing(process, target, under_way, at)
        return expected_shortfall(best, mean, np.sqrt(variance))

    def _hypervolume_improvement(
        self, at: Array, under_way: Array, known: Array, rng: np.random.Generator
    ) -> Array:
        losses = np.array([fitness.losses for fitness in self._taken])  # (n, objectives)
        ideal, reference = _extent(losses)
        mean = np.empty((len(at), self._objectives))
        sd = np.zeros((len(at), self._objectives))
        for column, objective in enumerate(self._known):
            mean[:, objective] = known[:, column]
        for objective, process in self._processes.items():
            target, centre, spread = clipped(losses[:, objective], reference[objective])
            average, uncertainty = _believing(process, target, under_way, at)
            mean[:, objective] = average * spread + centre
            sd[:, objective] = np.sqrt(uncertainty) * spread
        scale = reference - ideal
        front, mean = np.maximum(losses, ideal) / scale, mean / scale  # nothing is -inf
        sd, reference = sd / scale, reference / scale
        if self._objectives == 2:
            return expected_hypervolume_improvement(front, reference, mean, sd)
        directions = positive_directions(_DIRECTIONS, self._objectives, rng)
        noise = rng.standard_normal((_SAMPLES, 1, self._objectives))  # common to all candidates
        samples = mean + sd * noise
        return sampled_hypervolume_improvement(front, reference, samples, directions)

    def _targets(self, fitnesses: Sequence[Fitness]) -> dict[int, Array]:
        """What the processes are fitted to, by objective."""
        if self._violations:
            violations = np.array([fitness.violation for fitness in fitnesses])
            return {0: half_ranked(violations)}
        if self._objectives == 1:
            losses = np.array(
                [f.losses[0] if f.evidence == Evidence.VALUES else math.inf for f in fitnesses]
            )
            tiers = None
            if any(fitness.evidence != Evidence.VALUES for fitness in fitnesses):
                tiers = [(fitness.evidence, fitness.losses) for fitness in fitnesses]
            return {0: half_ranked(losses, tiers)}
        several = np.array([fitness.losses for fitness in fitnesses])
        _, reference = _extent(several)
        return {
            objective: clipped(several[:, objective], reference[objective])[0]
            for objective in range(self._objectives)
            if objective not in self._known
        }

    def _process(self, matrix: Array, target: Array) -> GaussianProcess:
        groups = self._columns.groups
        count = int(groups.max()) + 1 if len(groups) else 1
        most = max(20, int(math.sqrt(_WORK / count)))
        some = np.unique(np.linspace(0, len(target) - 1, min(most, len(target))).astype(int))
        hyperparameters = fit_hyperparameters(matrix[some], groups, target[some])
        return GaussianProcess(hyperparameters, groups, matrix)


def _believing(
    process: GaussianProcess, target: Array, under_way: Array, at: Array
) -> tuple[Array, Array]:
    """Posterior at candidates, with those under way as predicted."""
    if not len(under_way):
        return process.posterior(target, at)
    believed, _ = process.posterior(target, under_way)
    return process.extended(under_way).posterior(np.append(target, believed), at)


def _extent(losses: Array) -> tuple[Array, Array]:
    """Best loss in each objective, and the reference of the hypervolume.

    The reference is the worst that was found, unless that is an outlier: far enough for the ends
    of the front to count, and not so far that another network that does not learn would, which are
    often the cheapest.
    """
    some = losses[np.isfinite(losses).all(axis=1)]
    if not len(some):
        return np.zeros(losses.shape[1]), np.ones(losses.shape[1])
    ideal, common, worst = some.min(axis=0), np.quantile(some, 0.9, axis=0), some.max(axis=0)
    reference = np.minimum(worst, common + _OUTLYING * (common - ideal))
    reference = np.where(reference > ideal, reference, np.where(worst > ideal, worst, ideal + 1.0))
    return ideal, reference


def _standardised(labels: Array) -> tuple[Array, float]:
    """Labels with mean 0 and variance 1, and where the middle between them is then."""
    mean, sd = float(labels.mean()), float(labels.std())
    return (labels - mean) / sd, -mean / sd


def _label(fitness: Fitness) -> float:
    return 1.0 if not fitness.violation and fitness.evidence != Evidence.FAILURE else -1.0
