"""A study and its task: values may be compared only where data, training and objectives are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from optuna.study import Study

from keras_nas.metrics import Metric
from keras_nas.provenance import environment
from optuna_nas._optuna import ANCHOR, ENVIRONMENT, OBJECTIVES, TASK, bind_space
from optuna_nas.errors import NASError
from optuna_nas.space import SearchSpace


class StudyMismatchError(NASError, ValueError):
    """A study's values come from another task, or from other objectives, than the one in hand."""


def bind_study(
    study: Study,
    *,
    space: SearchSpace,
    metrics: Sequence[Metric],
    task: Mapping[str, Any],
    facts: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Tie a study to its task at the first call; later, check that it is still the same.

    Args:
        study: The study.
        space: Its space.
        metrics: Its objectives, in order.
        task: What else its values depend on: the data's fingerprint as ``data``, and how a
            candidate is trained.
        facts: What a report should say besides.

    Raises:
        SpaceMismatchError: The study was made with another space.
        StudyMismatchError: The study was made for another task.
    """
    attributes = study.user_attrs
    names = [metric.name for metric in metrics]
    if (objectives := attributes.get(OBJECTIVES, names)) != names:
        raise StudyMismatchError(_difference(study.study_name, objectives, names), objectives)
    _check_directions(study, metrics)
    bind_space(study, space)
    for key, mine in ((OBJECTIVES, names), (TASK, dict(task))):
        stored = attributes.get(key)
        if stored is None:
            study.set_user_attr(key, mine)
        elif stored != mine:
            raise StudyMismatchError(_difference(study.study_name, stored, mine), stored)
    if ENVIRONMENT not in attributes:
        study.set_user_attr(ENVIRONMENT, {**environment(), **facts})


def anchor_of(study: Study) -> float | None:
    """Time of the latency anchor in a study that measures latencies, in milliseconds."""
    stored = study.user_attrs.get(ANCHOR)
    return None if stored is None else float(stored["milliseconds"])


def save_anchor(study: Study, milliseconds: float) -> None:
    """Note the anchor's time: one for the whole study keeps all its latencies on one scale."""
    study.set_user_attr(ANCHOR, {"milliseconds": milliseconds})


def _check_directions(study: Study, metrics: Sequence[Metric]) -> None:
    directions = [direction.name.lower() for direction in study.directions]
    needed = [metric.direction for metric in metrics]
    if directions != needed:
        raise StudyMismatchError(
            f"study {study.study_name!r} has the directions {', '.join(directions)}, but the "
            f"objectives {', '.join(metric.name for metric in metrics)} need "
            f"{', '.join(needed)}: make it with "
            "optuna.create_study(directions=objective.directions)",
            directions,
        )


def _difference(study: str, stored: Any, mine: Any) -> str:
    if not isinstance(stored, dict):
        return (
            f"study {study!r} was made for the objectives {', '.join(stored)}, not "
            f"{', '.join(mine)}: use the same, or start another study"
        )
    for key in {**stored, **mine}:
        if stored.get(key) != mine.get(key):
            what = "other data, or another split of them" if key == "data" else None
            what = what or f"{key} = {stored.get(key)!r}, not {mine.get(key)!r}"
            return f"study {study!r} was made with {what}: use the same, or start another study"
    return f"study {study!r} was made by another version"
