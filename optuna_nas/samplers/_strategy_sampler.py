"""What every sampler of this project does for its strategy: translate, and keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import (
    bind_space,
    fail_trial,
    fixed_by_sampler,
    planned_params,
    save_constraints,
    save_note,
    trials_of,
)
from optuna_nas._study_memories import PerStudy
from optuna_nas.errors import SpaceMismatchError
from optuna_nas.samplers._domains import distribution_of, draw, hashable_params, within
from optuna_nas.samplers._history import StudyHistory, maximized
from optuna_nas.search import (
    Encoding,
    ParameterEncoding,
    Proposal,
    Request,
    SpaceEncoding,
    Strategy,
)
from optuna_nas.space import SearchSpace

# From whether each objective is maximised to the strategy of one study.
StrategyFactory = Callable[[tuple[bool, ...]], Strategy]
ConstraintsFunction = Callable[[FrozenTrial], Sequence[float]]


class StrategySampler(BaseSampler):
    """An Optuna sampler that asks a `Strategy` for candidates.

    Subclasses only have a constructor. Everything a strategy observes comes from the trials in the
    study's storage, so that studies can be resumed, and shared by threads and processes.

    Args:
        make_strategy: Makes the strategy of one study; can be pickled.
        space: The declared space of the objective, if there is one.
        seed: Makes trials reproducible with ``n_jobs=1``.
        constraints_func: Maps a finished trial to constraint values; positive ones are violations.
        by_network: Whether trials are the same that differ only in what is not the space's network.

    Raises:
        TypeError: If the space is none.
        ValueError: If the seed is no integer of at least 0.
    """

    def __init__(
        self,
        make_strategy: StrategyFactory,
        *,
        space: SearchSpace | None,
        seed: int | None,
        constraints_func: ConstraintsFunction | None,
        by_network: bool = False,
    ) -> None:
        if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
            raise ValueError(f"seed must be an integer of at least 0, or None, got {seed!r}.")
        if space is not None and not isinstance(space, SearchSpace):
            raise TypeError(f"space must be a SearchSpace, or None, got {space!r}.")
        self._make_strategy = make_strategy
        self._space = space
        self._space_distributions: dict[str, BaseDistribution] = {}
        if space is not None:
            self._space_distributions = {
                name: distribution_of(domain) for name, domain in space.distributions().items()
            }
        self._constraints_func = constraints_func
        self._by_network = by_network
        self._entropy = np.random.SeedSequence(seed).entropy
        self._rng = np.random.default_rng(np.random.SeedSequence(self._entropy))
        self._histories: PerStudy[StudyHistory] = PerStudy()

    def reseed_rng(self) -> None:
        with self._histories.lock:
            self._entropy = np.random.SeedSequence().entropy
            self._rng = np.random.default_rng(np.random.SeedSequence(self._entropy))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        with self._histories.lock:
            # Workers with one seed differ by the numbers of their trials, and a resumed study goes
            # on with the numbers it has not had.
            sequence = np.random.SeedSequence(self._entropy, spawn_key=(trial.number,))
            self._rng = np.random.default_rng(sequence)
            if self._space is not None and study not in self._histories:
                try:
                    bind_space(study, self._space)
                except SpaceMismatchError as error:
                    fail_trial(study, trial, str(error))  # nobody else would finish it
                    raise

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        with self._histories.lock:
            return {**self._space_distributions, **self._history(study, trial).distributions}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        proposal, params = self._propose(study, trial, search_space)
        if proposal.note is not None:
            save_note(study, trial, proposal.note)
        return params

    def _propose(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> tuple[Proposal, dict[str, Any]]:
        """What the strategy proposes, and the parameters of it that are free."""
        with self._histories.lock:
            history = self._history(study, trial)
            fixed = hashable_params({**fixed_by_sampler(study), **planned_params(trial)})
            free = {n: d for n, d in search_space.items() if n not in fixed}
            domains = {n: history.domain(n, d) for n, d in free.items()}
            request = Request(trial.number, domains, fixed, self._rng)
            proposal = history.strategy.propose(request, history.memory)
            history.propose(trial.number, proposal.params)
        params = proposal.params
        return proposal, {n: within(d, params[n]) for n, d in free.items() if n in params}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        with self._histories.lock:
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

    def _history(self, study: Study, trial: FrozenTrial) -> StudyHistory:
        """The history of a study, up to date."""
        trials = trials_of(study)
        history = self._histories.of(study, lambda: self._new_history(study), trials)
        history.update(trials, current=trial.number)
        return history

    def _new_history(self, study: Study) -> StudyHistory:
        encoding: Encoding = ParameterEncoding()
        if self._space is not None:
            # Of several objectives, one is a cost, which equal functions need not share.
            one = len(study.directions) == 1
            encoding = SpaceEncoding(self._space, by_function=one, by_network=self._by_network)
        strategy = self._make_strategy(maximized(study.directions))
        return StudyHistory(strategy, study.directions, encoding)
