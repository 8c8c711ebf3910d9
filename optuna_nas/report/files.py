"""Writing files whole or not at all, and leaderboards as tables for other programs."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna

from optuna_nas.report.leaderboard import LeaderboardRow, leaderboard
from optuna_nas.report.reading import read_study

_MEASURES = ("accuracy", "params", "macs", "latency_ms", "epochs", "seconds")


def write_leaderboard(study: optuna.Study, path: str | os.PathLike[str]) -> Path:
    """Write the leaderboard of a study as ``.csv`` or ``.json``, by the name of the file.

    Raises:
        ValueError: The file's name ends otherwise.
        OSError: The file can't be written; an older one is left as it was.
    """
    target = Path(path)
    if target.suffix not in (".csv", ".json"):
        raise ValueError(f"path: expected a name ending in .csv or .json, got {str(path)!r}.")
    rows = leaderboard(study)
    names = read_study(study).objectives
    write_whole(target, csv_of(rows, names) if target.suffix == ".csv" else json_of(rows))
    return target


def csv_of(rows: Sequence[LeaderboardRow], objectives: Sequence[str]) -> str:
    """Rows as CSV: a column for each objective, missing values empty, the genotype as JSON."""
    measures = [name for name in _MEASURES if name not in objectives]
    columns = ["rank", "trial", "state", *objectives, *measures]
    columns += ["repeats", "feasible", "on_front", "canonical_id", "genotype"]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        cells: list[Any] = [row.rank, row.trial, row.state]
        cells += [row.values.get(name) for name in objectives]
        cells += [getattr(row, name) for name in measures]
        cells += [row.repeats, row.feasible, row.on_front, row.canonical_id]
        cells.append(json.dumps(dict(row.genotype), default=str))
        table.writerow(["" if cell is None else cell for cell in cells])
    return text.getvalue()


def json_of(rows: Sequence[LeaderboardRow]) -> str:
    """Rows as a JSON list of objects."""
    return json.dumps([asdict(row) for row in rows], indent=1, default=str) + "\n"


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers find either the old text or all of the new.

    Raises:
        OSError: It can't be written (no space, no permission); what was there is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())  # a full disk may show only here
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
