"""The best model of a search: which trial, its network, its export and the proof of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

from optuna_nas._optuna import SPACE
from optuna_nas.errors import NASError
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.report.leaderboard import LeaderboardRow
from optuna_nas.report.reading import StudyReading
from optuna_nas.report.text import memory

if TYPE_CHECKING:
    from optuna_nas.space import SearchSpace

LARGEST_DIFFERENCE = 1e-4  # allowed between exported and trained model, unless the proof says


class ModelInfo(TypedDict, total=False):
    """What the caller knows of the model delivered; every key may be left out.

    Keys:
        trial: Number of its trial; the leaderboard's first where left out.
        test_accuracy: Accuracy on data the search never saw, 0 to 1.
        proof: How well the exported model agrees with the trained one: an object or mapping with
            ``max_abs_difference``, ``agreement`` (share of equal classes, 0 to 1), ``samples``,
            ``tolerance`` and ``passed``; all but the first two may be left out.
        files: Paths by role (``{"Keras model": "best.keras"}``), or only paths.
        latency: Measurement of the exported model: a `LatencyProfile` or its ``to_dict()``.
        graph: Its network, where neither space nor study can tell.
    """

    trial: int
    test_accuracy: float
    proof: object
    files: Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]]
    latency: object
    graph: ArchitectureGraph


@dataclass(frozen=True)
class Proof:
    """A sentence on how far exported and trained model agree, and whether that is good."""

    text: str
    holds: bool


@dataclass(frozen=True)
class DeliveredFile:
    """One line of the report's list of files."""

    role: str
    name: str
    link: str
    size: str


def winning_row(rows: Sequence[LeaderboardRow], model: ModelInfo) -> LeaderboardRow | None:
    """The row of the delivered model, else the best feasible complete one, else none."""
    wanted = model.get("trial")
    if wanted is not None:
        for row in rows:
            if row.trial == wanted:
                return row
    return next((row for row in rows if row.feasible and row.state == "COMPLETE"), None)


def winning_graph(
    reading: StudyReading, row: LeaderboardRow, model: ModelInfo, space: SearchSpace | None
) -> tuple[ArchitectureGraph | None, str]:
    """The network of a row, and the reason where there is none."""
    if "graph" in model:
        return model["graph"], ""
    try:
        space = space or stored_space(reading)
        if space is None:
            return None, "The study does not say from which space its architectures come."
        return space.graph(space.genotype(row.genotype)), ""
    # A space with blocks of the user's own can't be read where these are not registered.
    except NASError as error:
        return None, f"The network can't be drawn: {error}"


def stored_space(reading: StudyReading) -> SearchSpace | None:
    """The space a study was bound to.

    Raises:
        NASError: It can't be read back.
    """
    from optuna_nas.space import SearchSpace

    stored = reading.study.user_attrs.get(SPACE)
    return None if not stored or "json" not in stored else SearchSpace.from_json(stored["json"])


def latency_of(row: LeaderboardRow, reading: StudyReading, model: ModelInfo) -> Mapping[str, Any]:
    """The latency measurement to show, as a mapping; empty where there is none."""
    given: Any = model.get("latency")
    if given is not None:
        as_dict = getattr(given, "to_dict", None)
        measurement: Mapping[str, Any] = given if as_dict is None else as_dict()
        return measurement
    return reading.records[row.trial].latency or {}


def proof_of(model: ModelInfo) -> Proof | None:
    """What the comparison of exported and trained model found, in a sentence."""
    given = model.get("proof")
    if given is None:
        return None
    difference = _part(given, "max_abs_difference")
    agreement = _part(given, "agreement")
    samples = _part(given, "samples")
    tolerance = _part(given, "tolerance") or LARGEST_DIFFERENCE
    passed = _part(given, "passed")
    if difference is None or agreement is None:
        return None
    holds = agreement >= 1.0 and (difference <= tolerance if passed is None else bool(passed))
    examples = f"on all {samples:,.0f} examples" if samples else "on all examples"
    same = (
        "the same class for every one"
        if agreement >= 1.0
        else (f"the same class for {100 * agreement:.2f} % of them")
    )
    return Proof(
        f"{'Proved' if holds else 'NOT proved'}: the exported model was reloaded and compared with "
        f"the trained one {examples}, preprocessing included. Largest difference of an output "
        f"{difference:.1e} (allowed {tolerance:.0e}), {same}.",
        holds,
    )


def files_of(model: ModelInfo, folder: Path) -> list[DeliveredFile]:
    """Files of the model; those beside or below the report are linked."""
    given = model.get("files", ())
    pairs = given.items() if isinstance(given, Mapping) else [("", path) for path in given]
    return [_file(role, Path(path), folder) for role, path in pairs]


def _file(role: str, path: Path, folder: Path) -> DeliveredFile:
    place = path if path.is_absolute() or path.exists() else folder / path
    try:
        inside = place.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        inside = ""
    size = memory(place.stat().st_size) if place.is_file() else ""
    # "./" so that a name with a colon is not taken for a scheme.
    link = f"./{quote(inside)}" if inside and place.exists() else ""
    return DeliveredFile(role or path.suffix.lstrip("."), inside or path.name, link, size)


def _part(given: object, name: str) -> float | None:
    value = given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)
    return None if value is None else float(value)
