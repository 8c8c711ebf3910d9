"""The files a search leaves: models, tables and the report."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.study import Study

from keras_nas.data import Dataset, Vocabulary
from keras_nas.finalists import Finalist
from keras_nas.model_card import CARD, model_card
from keras_nas.run_folder import RunFolder
from keras_nas.settings import SearchSettings
from optuna_nas.report import pareto_front, write_report
from optuna_nas.report.winner import ModelInfo
from optuna_nas.space import SearchSpace

SETTINGS, FINALISTS, BEST, FRONT = (
    "settings.json", "finalists.json", "best.json", "pareto_front.json",
)  # fmt: skip
VOCABULARY = "vocabulary.txt"


@dataclass(frozen=True)
class SearchOutcome:
    """What a search left.

    Args:
        study: Its study.
        folder: Its folder.
        space: The space searched.
        finalists: Models trained in full.
        best: The one delivered.
        files: What was written, by role.
        interrupted: The signal that ended it before its time, or None; the same call goes on.
    """

    study: Study
    folder: Path
    space: SearchSpace | None
    finalists: Sequence[Finalist]
    best: Finalist | None
    files: dict[str, Path]
    interrupted: int | None = None


def write_settings(
    folder: RunFolder, settings: SearchSettings, data: Dataset, space: SearchSpace, study: str
) -> None:
    """Note what a search was asked to do, the space as JSON, and the words of texts."""
    about = {"study": study, "settings": settings.to_dict(), "data": data.describe()}
    folder.write_json(SETTINGS, about)
    if data.vocabulary:
        Vocabulary(data.vocabulary, data.input_shape[0]).save(folder.path / VOCABULARY)
    (folder.path / "space.json").write_text(space.to_json() + "\n", encoding="utf-8")


def write_results(
    folder: RunFolder,
    study: Study,
    *,
    space: SearchSpace | None,
    data: Mapping[str, Any],
    finalists: Sequence[Finalist],
    best: Finalist | None,
) -> dict[str, Path]:
    """Write the front, the best model and the report, each whole or not at all.

    Args:
        folder: Where to.
        study: The study.
        space: Its space.
        data: `Dataset.describe`.
        finalists: Models trained in full.
        best: The one to deliver.

    Returns:
        Paths by role.

    Raises:
        OSError: A file can't be written.
    """
    files: dict[str, Path] = {}
    model: ModelInfo = {}
    if finalists:
        folder.write_json(FINALISTS, [f.to_dict(folder.path) for f in finalists])
    if best is not None and best.delivery is not None:
        for role, source in (
            ("Keras model", best.delivery.keras_file),
            ("ONNX model", best.delivery.onnx_file),
        ):
            files[role] = _copy(Path(source), folder.path / f"best{Path(source).suffix}")
        card = folder.path / CARD
        content = model_card(study.study_name, best, data=data, files=files)
        card.write_text(content, encoding="utf-8")
        model = _model_info(best, dict(files))
        about = {**best.to_dict(folder.path), "data": data}
        if (vocabulary := folder.path / VOCABULARY).exists():
            files["vocabulary"] = vocabulary
        files["model card"] = card
        files["what is known of it, with the proof"] = folder.write_json(BEST, about)
    files["Pareto front"] = folder.path / "pareto_front.csv"
    folder.write_json(FRONT, _front(study, finalists, folder.path))
    facts = {k: v for k, v in data.items() if k not in ("rows", "class_names", "preprocessing")}
    files["report"] = write_report(
        study,
        folder.path / "report.html",
        space=space,
        data={**facts, **{f"{part} rows": n for part, n in data.get("rows", {}).items()}},
        model=model,
        title=None if space is None else f"{data.get('name', 'data')} · {space.name}",
    )
    files["leaderboard"] = folder.path / "leaderboard.csv"
    if folder.own_database:
        files["study"] = folder.path / "study.db"
    return files


def _model_info(best: Finalist, files: Mapping[str, Path]) -> ModelInfo:
    assert best.delivery is not None
    model: ModelInfo = {
        "trial": best.trial.number,
        "test_accuracy": best.delivery.test_accuracy,
        "proof": dict(best.delivery.proof),
        "files": dict(files),
    }
    if best.latency is not None:
        model["latency"] = best.latency.to_dict()
    return model


def _front(study: Study, finalists: Sequence[Finalist], folder: Path) -> list[dict[str, Any]]:
    tested = {f.trial.number: f.to_dict(folder)["delivery"] for f in finalists}
    entries = []
    for row in pareto_front(study):
        entry = asdict(row)
        delivery = tested.get(row.trial)
        if delivery is not None:
            entry["test_accuracy"] = delivery["test_accuracy"]
            entry["files"] = [delivery["keras_file"], delivery["onnx_file"]]
        entries.append(entry)
    return entries


def _copy(source: Path, target: Path) -> Path:
    temporary = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target
