"""`write_report`: one self-contained HTML page about a study, with its tables beside it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from optuna_nas.report.files import csv_of, write_whole
from optuna_nas.report.leaderboard import front_of, rows_of
from optuna_nas.report.reading import read_study
from optuna_nas.report.winner import ModelInfo

if TYPE_CHECKING:
    from optuna_nas.space import SearchSpace

PAGE = "report.html"


def write_report(
    study: optuna.Study,
    path: str | os.PathLike[str],
    *,
    space: SearchSpace | None = None,
    data: Mapping[str, object] | None = None,
    model: ModelInfo | None = None,
    environment: Mapping[str, object] | None = None,
    title: str | None = None,
) -> Path:
    """Write the report of a study: a page, ``leaderboard.csv`` and ``pareto_front.csv``.

    Works with any Optuna study, at any moment: sections without content are left out. Each file is
    written whole or not at all, so a failure leaves an older report as it was.

    Args:
        study: The study; only read.
        path: The page's file (a name ending in ``.html`` or ``.htm``), or a folder for
            ``report.html``. The tables go into the same folder.
        space: The space searched; where left out, the one the study remembers.
        data: Facts about the data, shown as they are: ``{"name": "digits", "training": 1149}``.
        model: What is known of the model delivered.
        environment: Facts about where and how the search ran; where left out, those the study
            remembers, else those of this process. Mappings inside it are flattened.
        title: Heading of the page.

    Returns:
        Path of the page.

    Raises:
        ImportError: The extra ``plot`` is not installed.
        OSError: A file can't be written.
    """
    for module in ("jinja2", "plotly"):
        if importlib.util.find_spec(module) is None:
            raise ImportError(
                f"write_report needs {module}; install it with: pip install 'optuna-nas[plot]'"
            )
    from optuna_nas.report.content import content_of
    from optuna_nas.report.rendering import render

    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        target = target / PAGE
    reading = read_study(study)
    rows, front = rows_of(reading), front_of(reading)
    content: dict[str, Any] = content_of(
        reading,
        rows,
        space=space,
        data=data or {},
        model=model or {},
        environment=environment,
        title=title,
        folder=target.parent,
    )
    write_whole(target, render(content))
    write_whole(target.parent / "leaderboard.csv", csv_of(rows, reading.objectives))
    write_whole(target.parent / "pareto_front.csv", csv_of(front, reading.objectives))
    return target
