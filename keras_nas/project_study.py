"""The Optuna study of a Keras Tuner project: made, found again, and tied to its objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import BaseStorage
from optuna.study import Study

from keras_nas.binding import StudyMismatchError
from keras_nas.outcomes import directions_of, report_names
from optuna_nas._optuna import OBJECTIVES, bind_space
from optuna_nas.errors import NASError
from optuna_nas.space import SearchSpace

_EXAMPLES = {
    "study": "optuna.create_study()",
    "sampler": "optuna.samplers.TPESampler()",
    "pruner": "optuna.pruners.MedianPruner()",
}


class StudyArgumentError(NASError, ValueError):
    """Arguments that say which study to use are of no use, or contradict each other."""


def open_study(
    objectives: Sequence[Any],
    *,
    study: Study | None = None,
    storage: str | BaseStorage | None = None,
    study_name: str | None = None,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
    seed: int | None = None,
    space: SearchSpace | None = None,
) -> Study:
    """The study given, the one in a storage, or a new one; bound to objectives and space.

    Args:
        objectives: Objectives of Keras Tuner.
        study: An existing study; its sampler and pruner are replaced by those given.
        storage: Where the study is made, or found again by its name.
        study_name: Its name.
        sampler: By default Optuna's.
        pruner: By default none.
        seed: Of the default sampler.
        space: The declared space of the hypermodel, if it has one.

    Raises:
        StudyArgumentError: Both a study and a storage are given, a storage without a name, or
            something that is no study, sampler or pruner.
        StudyMismatchError: The study has other directions or objectives.
        SpaceMismatchError: The study was made with another space.
    """
    wanted = {"study": (study, Study), "sampler": (sampler, BaseSampler)}
    for name, (given, kind) in {**wanted, "pruner": (pruner, BasePruner)}.items():
        if given is not None and not isinstance(given, kind):
            raise StudyArgumentError(
                f"{name}: expected None or a {name} of Optuna, got {given!r}. Give an object, such "
                f"as {_EXAMPLES[name]}.",
                given,
            )
    if study is None:
        if storage is not None and study_name is None:
            raise StudyArgumentError(
                "study_name: expected the name by which the study is found again in its storage, "
                "got None. Give it one.",
                study_name,
            )
        study = optuna.create_study(
            storage=storage,
            sampler=sampler or TPESampler(seed=seed),
            pruner=pruner or NopPruner(),
            study_name=study_name,
            directions=directions_of(objectives),
            load_if_exists=storage is not None,
        )
    elif storage is not None or study_name is not None:
        raise StudyArgumentError(
            "study: expected either a study or its storage and name, got both. Leave storage= and "
            "study_name= out.",
            study,
        )
    else:
        study.sampler = sampler or study.sampler
        study.pruner = pruner or study.pruner
    _bind(study, objectives, space)
    return study


def check_distributions(study: Study, distributions: Mapping[str, BaseDistribution]) -> None:
    """Check that trials of a study could have these parameters, too.

    Raises:
        StudyMismatchError: A parameter is of another kind in the study, or has other choices.
    """
    for trial in study.get_trials(deepcopy=False):
        for name in distributions.keys() & trial.distributions.keys():
            new, stored = distributions[name], trial.distributions[name]
            try:
                check_distribution_compatibility(stored, new)
            except ValueError as error:
                raise StudyMismatchError(
                    f"hyperparameters: expected {name!r} as study {study.study_name!r} has it, "
                    f"{stored}, got {new}. Optuna allows other limits, and no other choices or "
                    "kinds: give it those, another name, or take another study_name.",
                    new,
                ) from error


def _bind(study: Study, objectives: Sequence[Any], space: SearchSpace | None) -> None:
    needed = directions_of(objectives)
    directions = [direction.name.lower() for direction in study.directions]
    if directions != needed:
        raise StudyMismatchError(
            f"study: expected the directions {', '.join(needed)} of the objectives "
            f"{', '.join(one.name for one in objectives)}, got {', '.join(directions)} in study "
            f"{study.study_name!r}. Use the objectives of the study, or another study.",
            directions,
        )
    names = report_names(objectives)
    stored = study.user_attrs.get(OBJECTIVES)
    if names is not None and stored is not None and list(stored) != names:
        raise StudyMismatchError(
            f"objective: expected {', '.join(stored)}, the objectives of study "
            f"{study.study_name!r}, got {', '.join(names)}. Use the same, or another study.",
            names,
        )
    if space is not None:
        bind_space(study, space)
    if names is not None and stored is None and not study.metric_names:
        study.set_user_attr(OBJECTIVES, names)
