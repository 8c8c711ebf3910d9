"""Where the numbers of a report come from: space, study, machine, versions, measurement."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from optuna_nas._optuna import ENVIRONMENT, SPACE
from optuna_nas._version import __version__
from optuna_nas.report.reading import StudyReading
from optuna_nas.report.text import plain
from optuna_nas.space.outline import in_words

if TYPE_CHECKING:
    from optuna_nas.space import SearchSpace


def provenance_of(
    reading: StudyReading,
    space: SearchSpace | None,
    environment: Mapping[str, object] | None,
    latency: Mapping[str, Any],
) -> dict[str, str]:
    """Facts by name, in the order to be shown."""
    facts: dict[str, object] = {"study": reading.study.study_name}
    starts = [trial.datetime_start for trial in reading.trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in reading.trials if trial.datetime_complete]
    if starts:
        facts["first trial began"] = f"{min(starts):%Y-%m-%d %H:%M:%S}"
    if ends:
        facts["last trial ended"] = f"{max(ends):%Y-%m-%d %H:%M:%S}"
    stored = reading.study.user_attrs.get(SPACE) or {}
    if space is not None:
        facts["space"], facts["space fingerprint"] = space.name, space.fingerprint
        facts["architectures in the space"] = in_words(space.size)
    elif stored:
        facts["space"] = stored.get("name")
        facts["space fingerprint"] = stored.get("fingerprint")
    if environment is None:
        environment = reading.study.user_attrs.get(ENVIRONMENT) or here()
    facts.update(flat_facts(environment))
    facts.update(flat_facts(latency.get("provenance") or {}, "latency measured with: "))
    return {name: str(value) for name, value in facts.items() if value is not None}


def here() -> dict[str, object]:
    """The environment of this process, where no better is known."""
    versions = {name: _version(name) for name in ("optuna", "numpy", "plotly")}
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "optuna-nas": __version__,
        **{name: text for name, text in versions.items() if text},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def flat_facts(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Facts as text by readable names; mappings inside become ``outer: inner``."""
    flat: dict[str, str] = {}
    for key, value in facts.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            flat.update(flat_facts(value, f"{name}: "))
        elif value is not None and value != "":
            # Years, seeds and ports are no amounts: integers stay as they are.
            flat[name] = str(value) if isinstance(value, int) else plain(value)
    return flat
