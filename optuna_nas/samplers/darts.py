"""Gradient-based search as an Optuna sampler."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_nas._arguments import check_count
from optuna_nas._optuna import fail_trial, forget_read_trials, save_draw, trials_of
from optuna_nas._study_memories import PerStudy
from optuna_nas.samplers._strategy_sampler import ConstraintsFunction, StrategySampler
from optuna_nas.samplers._supernet import StudySupernet
from optuna_nas.search import Strategy
from optuna_nas.search.gradient_source import GradientSource
from optuna_nas.search.logit_search import LogitSearch
from optuna_nas.space import SearchSpace

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

# How often a trial gives way to another process that drew the same at the same moment.
_GIVE_WAY = 3


class DARTSSampler(StrategySampler):
    """Draws trials from a supernet trained by gradients (DARTS, https://arxiv.org/abs/1806.09055).

    The supernet, or any other `GradientSource`, is trained before the trials. The first trial is
    the discretised architecture, in which each decision takes its most probable value; the
    following ones are drawn by their probability, the product over their decisions, without
    repetition. Trials are ordinary trials: train each alone, or evaluate it with the supernet's
    weights. Their values do not matter to the sampler, so there may be several.

    - The worker that has the supernet (`source`) leads: it trains, and stores the logits of each
      epoch in the study. Workers without one follow: they draw from the newest logits, and wait
      until there are any. Where several have a source, the first leads, and another one on its
      machine takes over when its process has ended.
    - A resumed study goes on. Its logits are in the study; with an `artifact_store` a checkpoint of
      the supernet is kept after each epoch, and a process that was killed costs one epoch. Without
      one, only what the source itself restored is gone on from.
    - What is finished, pruned, failed or running is not drawn again while others are found (with
      one objective, nor are networks that are equal in function), however they are trained. A
      network that comes up 50 times in vain gives way to the most probable ones not tried; when
      1,000 of these are known, one is repeated.
    - Parameters that are not of the space's network are drawn at random: decisions under
      ``training/``, and what the objective suggests beside. Enqueued and partly fixed trials work.
    - Each drawn trial has a user attribute with the epochs, the probability, and what the
      source says of itself. Its alarm, when a search degenerates, is logged once.

    Args:
        space: The declared space of the objective and of the supernet.
        source: The supernet. None follows another worker.
        epochs_per_trial: Units of search before each trial, as long as there are some. None does
            all of them before the first trial.
        temperature: Divides the logits: above 1 explores more, below 1 less.
        artifact_store: Where checkpoints of the supernet are kept, one at a time; say
            ``optuna.artifacts.FileSystemArtifactStore("supernet")``.
        timeout: Seconds after which a follower gives up, without a new epoch.
        seed: Makes trials reproducible with ``n_jobs=1``, for equal logits. Trials depend on it and
            on their number, so workers may share one seed, and a resumed study does not begin
            again.
        constraints_func: As in Optuna's own samplers: maps a finished trial to constraint values,
            which are only stored.

    Raises:
        TypeError: If the space is none, or the source lacks a method.
        ValueError: If an argument is out of range. From a trial, as `SupernetError`, if the logits
            do not fit the space, or none came.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        source: GradientSource | None = None,
        epochs_per_trial: int | None = None,
        temperature: float = 1.0,
        artifact_store: ArtifactStore | None = None,
        timeout: float = 3600.0,
        seed: int | None = None,
        constraints_func: ConstraintsFunction | None = None,
    ) -> None:
        if not isinstance(space, SearchSpace):
            raise TypeError(f"space must be a SearchSpace, got {space!r}.")
        methods = ("advance", "logits", "checkpoint", "restore", "status")
        missing = [name for name in methods if not callable(getattr(source, name, None))]
        if source is not None and missing:
            raise TypeError(
                f"source must be a GradientSource, such as a keras_nas.Supernet, or None, got "
                f"{source!r}, which has no {missing[0]}()."
            )
        if epochs_per_trial is not None:
            check_count("epochs_per_trial", epochs_per_trial)
        for name, value in (("temperature", temperature), ("timeout", timeout)):
            if not isinstance(value, int | float) or not (0 < value < math.inf):
                raise ValueError(f"{name} must be above 0 and finite, got {value!r}.")
        super().__init__(
            partial(_strategy, space),
            space=space,
            seed=seed,
            constraints_func=constraints_func,
            by_network=True,
        )
        self._make_supernet = partial(
            StudySupernet, source, space, temperature, epochs_per_trial, artifact_store, timeout
        )
        self._supernets: PerStudy[StudySupernet] = PerStudy()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        super().before_trial(study, trial)
        try:
            # Outside of the locks: other threads go on with their trials while the supernet trains.
            self._supernet(study).prepare(study, trial.number)
        except BaseException as error:
            fail_trial(study, trial, f"{type(error).__name__}: {error}")  # nobody else would
            raise

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        supernet = self._supernet(study)
        for _ in range(_GIVE_WAY):
            with self._histories.lock:
                strategy = self._history(study, trial).strategy
                assert isinstance(strategy, LogitSearch)
                strategy.distribution = supernet.distribution
                proposal, params = self._propose(study, trial, search_space)
            if proposal.note is None:
                break
            save_draw(
                study,
                trial,
                {**proposal.note, "epochs": supernet.epochs, "status": dict(supernet.status)},
            )
            # Workers that waited for the same logits draw at the same moment. Each tells what it
            # drew, then looks again: of two that drew the same, the later one surely sees it.
            forget_read_trials(study)
            with self._histories.lock:
                history = self._history(study, trial)
                if proposal.note["repeated"] or not history.memory.archive.is_shared(trial.number):
                    break
        return params

    def _supernet(self, study: Study) -> StudySupernet:
        with self._supernets.lock:
            return self._supernets.of(study, self._make_supernet, trials_of(study))


def _strategy(space: SearchSpace, maximize: tuple[bool, ...]) -> Strategy:
    return LogitSearch(space)
