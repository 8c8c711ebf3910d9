"""Regularised (aging) evolution as an Optuna sampler."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import (
    bind_space,
    fail_trial,
    planned_params,
    save_constraints,
    storage_of,
    study_id_of,
    trials_of,
)
from optuna_nas.errors import SpaceMismatchError
from optuna_nas.samplers._domains import distribution_of, draw, within
from optuna_nas.samplers._history import StudyHistory
from optuna_nas.search import EvolutionSettings, ParameterEncoding, SpaceEncoding, propose
from optuna_nas.space import SearchSpace


class RegularizedEvolutionSampler(BaseSampler):
    """Asynchronous aging evolution (Real et al. 2019, https://arxiv.org/abs/1802.01548).

    The population is the last `population_size` finished trials, whatever their values. A new trial
    is the best of `tournament_size` of them, drawn with replacement, with exactly one decision
    changed to a different value. Trials that are finished, failed or running are not proposed
    again.

    It works with any objective, also with parameters that exist only under some values of others
    (newly active ones are drawn at random) and with ranges that change. Give it the `space` of an
    objective that calls ``space.suggest(trial)``, and it also edits structure (copies of a block
    are put in, taken out and moved), and takes networks that are equal in function for one.

    - Several objectives: the tournament is decided by non-domination rank, then by crowding, within
      the population.
    - Constraints (`optuna.Trial.set_constraint`): feasible trials win over infeasible ones, these
      are compared by their total violation.
    - Pruned trials count with the value the pruner predicted (`TrialRecord.predicted_value`);
      without one they rank behind all finished trials, the longer they ran the better.
    - Failed trials are no parents, and what they tried is not tried again.

    What the sampler knows follows from the trials in the study's storage, so studies can be
    resumed, and shared by threads and processes. It writes nothing to the storage but, once a
    study, the `space`. The cost of a trial does not grow with the number of trials.

    Args:
        population_size: Number of trials that can become parents. Larger ones explore longer
            before they converge. 30, with tournaments of 10, is what several NAS libraries use.
        tournament_size: Number of trials a parent is the best of. Larger ones are greedier, which
            pays where values carry little noise.
        space: The declared space of the objective, if there is one.
        n_startup_trials: Random trials before evolution begins; trials that were added or enqueued
            count. Fewer than `population_size`, because many searches can afford 100 trials or
            less; set it to `population_size` for the algorithm as published.
        crossover_probability: How often a child has two parents, from each of which it takes some
            decisions, before it is mutated.
        deduplicate: Whether a proposal that equals a known trial is drawn anew, a bounded number of
            times. Without it, re-evaluations can average out the noise of an objective.
        seed: Makes trials reproducible with ``n_jobs=1``: the same seed, the same trials. Trials
            depend on it and on their number, so workers may share one seed, and a resumed study
            does not begin again.
        constraints_func: As in Optuna's own samplers: maps a finished trial to constraint values,
            where positive ones are violations. `optuna.Trial.set_constraint` is the newer way.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        *,
        population_size: int = 30,
        tournament_size: int = 10,
        space: SearchSpace | None = None,
        n_startup_trials: int = 20,
        crossover_probability: float = 0.0,
        deduplicate: bool = True,
        seed: int | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
    ) -> None:
        for name, count in (
            ("population_size", population_size),
            ("tournament_size", tournament_size),
            ("n_startup_trials", n_startup_trials),
        ):
            if not isinstance(count, int) or count < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {count!r}.")
        if not 0.0 <= crossover_probability <= 1.0:
            raise ValueError(
                f"crossover_probability must be from 0 to 1, got {crossover_probability!r}."
            )
        if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
            raise ValueError(f"seed must be an integer of at least 0, or None, got {seed!r}.")
        self._population_size = population_size
        self._n_startup_trials = n_startup_trials
        self._settings = EvolutionSettings(tournament_size, crossover_probability, deduplicate)
        self._space = space
        self._space_distributions: dict[str, BaseDistribution] = {}
        if space is not None:
            self._space_distributions = {
                name: distribution_of(domain) for name, domain in space.distributions().items()
            }
        self._constraints_func = constraints_func
        self._entropy = np.random.SeedSequence(seed).entropy
        self._rng = np.random.default_rng(np.random.SeedSequence(self._entropy))
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._histories: WeakKeyDictionary[BaseStorage, dict[int, StudyHistory]]
        self._histories = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"], state["_histories"]  # both are made again, the latter from the trials
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def reseed_rng(self) -> None:
        with self._lock:
            self._entropy = np.random.SeedSequence().entropy
            self._rng = np.random.default_rng(np.random.SeedSequence(self._entropy))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        with self._lock:
            # Workers with one seed differ by the numbers of their trials, and a resumed study goes
            # on with the numbers it has not had.
            sequence = np.random.SeedSequence(self._entropy, spawn_key=(trial.number,))
            self._rng = np.random.default_rng(sequence)
            if self._space is not None and study_id_of(study) not in self._of_storage(study):
                try:
                    bind_space(study, self._space)
                except SpaceMismatchError as error:
                    fail_trial(study, trial, str(error))  # nobody else would finish it
                    raise

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        with self._lock:
            return {**self._space_distributions, **self._history(study, trial).distributions}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        with self._lock:
            history = self._history(study, trial)
            fixed = planned_params(trial)
            free = {n: d for n, d in search_space.items() if n not in fixed}
            params = propose(
                history.population if history.usable >= self._n_startup_trials else None,
                history.archive,
                history.encoding,
                self._settings,
                domains={n: history.domain(n, d) for n, d in free.items()},
                fixed=fixed,
                rng=self._rng,
            )
            history.propose(trial.number, params)
        return {n: within(d, params[n]) for n, d in free.items() if n in params}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        with self._lock:
            return draw(param_distribution, self._rng)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        if self._constraints_func is not None and state != TrialState.FAIL:
            save_constraints(study, trial, self._constraints_func(trial))

    def _of_storage(self, study: Study) -> dict[int, StudyHistory]:
        return self._histories.setdefault(storage_of(study), {})

    def _history(self, study: Study, trial: FrozenTrial) -> StudyHistory:
        """The history of a study, up to date."""
        histories = self._of_storage(study)
        trials = trials_of(study)
        history = histories.get(study_id_of(study))
        if history is None or not history.belongs_to(trials):
            encoding = ParameterEncoding() if self._space is None else SpaceEncoding(self._space)
            history = StudyHistory(self._population_size, study.directions, encoding)
            histories[study_id_of(study)] = history
        history.update(trials, current=trial.number)
        return history
