"""The latency anchor's time, one for all processes that search together."""

from __future__ import annotations

import json
import os
from pathlib import Path

from optuna.study import Study

from keras_nas.binding import anchor_of, save_anchor
from optuna_nas.profiling import anchor_reference_ms
from optuna_nas.report.files import write_whole

FILE = "latency_anchor.json"


def shared_reference_ms(folder: str | os.PathLike[str], study: Study | None) -> float:
    """Undisturbed time of the latency anchor in milliseconds, measured once.

    It is kept with the study, and in the project's folder for workers, which can't reach a study
    that lives with their chief.

    Args:
        folder: The project's folder, which chief and workers share.
        study: The study, where this process has it.
    """
    path = Path(folder) / FILE
    in_folder = json.loads(path.read_text())["milliseconds"] if path.exists() else None
    in_study = None if study is None else anchor_of(study)
    known = float(in_study or in_folder or anchor_reference_ms())
    if study is not None and in_study is None:
        save_anchor(study, known)
    if in_folder != known:
        write_whole(path, json.dumps({"milliseconds": known}))
    return known
