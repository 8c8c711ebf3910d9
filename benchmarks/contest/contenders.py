"""Who takes part: this project's samplers, Optuna's, and those of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import optuna
from optuna.samplers import BaseSampler

import optuna_nas.samplers
from contest.searchers import OptunaSearcher, PyGloveSearcher, Searcher, SyneTuneSearcher
from contest.task import Task
from optuna_nas.space import SearchSpace


def any_task(_task: Task) -> bool:
    return True


def one_objective(task: Task) -> bool:
    return len(task.directions) == 1


def flat(task: Task) -> bool:
    return not task.conditional


@dataclass(frozen=True)
class Contender:
    """A sampler with its settings, by default its own defaults.

    Attributes:
        name: For the command line and the files.
        title: For the report.
        make: A search of a task over its space, with a seed.
        takes: Whether it can do a task, and is not there under another name.
        needs: Modules it needs.
        slow: Whether it takes so long that fewer seeds have to do.
    """

    name: str
    title: str
    make: Callable[[Task, SearchSpace, int], Searcher]
    takes: Callable[[Task], bool] = any_task
    needs: tuple[str, ...] = ()
    slow: bool = False

    @property
    def missing(self) -> str | None:
        """What has to be installed first; None if it can take part."""
        return next((module for module in self.needs if find_spec(module) is None), None)


# Name -> (class, its settings, title).
_OURS: dict[str, tuple[str, dict[str, Any], str]] = {
    "evolution": ("RegularizedEvolutionSampler", {}, "Evolution"),
    "local-search": ("LocalSearchSampler", {}, "Local search"),
    "policy-recurrent": (
        "PolicyGradientSampler",
        {"policy": "recurrent"},
        "Policy gradient, recurrent",
    ),
    "policy-independent": (
        "PolicyGradientSampler",
        {"policy": "independent"},
        "Policy gradient, independent",
    ),
    "predictor": ("PredictorSampler", {}, "Predictor"),
}
OurSampler = Callable[[SearchSpace | None, int], BaseSampler]


def our_samplers() -> dict[str, tuple[str, OurSampler]]:
    """Name -> (title, sampler of a space or None and a seed), of those that exist."""
    return {
        name: (title, partial(_our_sampler, getattr(optuna_nas.samplers, kind), settings))
        for name, (kind, settings, title) in _OURS.items()
        if hasattr(optuna_nas.samplers, kind)
    }


def _our_sampler(
    kind: Callable[..., BaseSampler], settings: dict[str, Any], space: SearchSpace | None, seed: int
) -> BaseSampler:
    return kind(**settings, space=space, seed=seed)


def ours() -> dict[str, Contender]:
    """This project's samplers, each without and with the space."""
    found = {}
    for name, (title, sampler) in our_samplers().items():
        slow = name == "predictor"
        found[name] = Contender(name, title, partial(_ours, sampler, False), slow=slow)
        informed = f"{name}+space"
        found[informed] = Contender(
            informed, f"{title}, with space", partial(_ours, sampler, True), slow=slow
        )
    return found


def _ours(
    sampler: OurSampler, informed: bool, task: Task, space: SearchSpace, seed: int
) -> Searcher:
    return OptunaSearcher(task, space, sampler(space if informed else None, seed))


def _optuna(
    kind: str, settings: dict[str, Any], task: Task, space: SearchSpace, seed: int
) -> Searcher:
    sampler = getattr(optuna.samplers, kind)(**settings, seed=seed)
    return OptunaSearcher(task, space, sampler)


def peers() -> dict[str, Contender]:
    """Optuna's samplers and those of other libraries, with their defaults."""
    # With one objective and a flat space, Optuna's default is the same.
    group = {"multivariate": True, "group": True}
    found = [
        Contender("random", "Optuna Random", partial(_optuna, "RandomSampler", {})),
        Contender("nsga2", "Optuna NSGA-II", partial(_optuna, "NSGAIISampler", {})),
        Contender("tpe", "Optuna TPE", partial(_optuna, "TPESampler", {}), slow=True),
        Contender(
            "tpe-group",
            "Optuna TPE, multivariate, group",
            partial(_optuna, "TPESampler", group),
            takes=lambda task: not (flat(task) and one_objective(task)),
            slow=True,
        ),
        Contender(
            "gp",
            "Optuna GP",
            partial(_optuna, "GPSampler", {}),
            takes=flat,
            needs=("scipy", "torch"),
            slow=True,
        ),
        Contender(
            "syne-tune-rea", "Syne Tune REA", SyneTuneSearcher, takes=flat, needs=("syne_tune",)
        ),
        Contender(
            "pyglove-rea",
            "PyGlove regularized_evolution",
            PyGloveSearcher,
            takes=lambda task: flat(task) and one_objective(task),
            needs=("pyglove",),
            slow=True,
        ),
    ]
    return {contender.name: contender for contender in found}
