"""The winner of a search in a registry: Optuna's artifact store, or MLflow's model registry."""

from __future__ import annotations

import importlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.artifacts import get_all_artifact_meta, upload_artifact

from keras_nas.finalists import Finalist
from keras_nas.model_card import CARD, guaranteed_name
from keras_nas.results import SearchOutcome
from optuna_nas.errors import NASError

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore


class RegistryError(NASError):
    """A winner can't be registered."""


def store_winner(outcome: SearchOutcome, artifact_store: ArtifactStore) -> dict[str, str]:
    """Puts the winner's files into an artifact store, attached to the study.

    Each file is named by what the model guarantees (`keras_nas.model_card.guaranteed_name`), so
    that `optuna.artifacts.get_all_artifact_meta(study)` reads as a list of models. What is there
    under its name already is not stored again.

    Args:
        outcome: Of `keras_nas.search`, or of `keras_nas.runs.report_on` for a run on disk.
        artifact_store: Say ``optuna.artifacts.FileSystemArtifactStore("artifacts")``.

    Returns:
        Artifact ids by file name, for `optuna.artifacts.download_artifact`.

    Raises:
        RegistryError: The run has delivered no model, or the store can't be written.
    """
    best = _winner(outcome)
    name = guaranteed_name(outcome.study.study_name, best)
    known = {
        meta.filename: meta.artifact_id
        for meta in get_all_artifact_meta(study_or_trial=outcome.study)
    }
    stored = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in _files(outcome):
            named = Path(folder) / f"{name}{_ending(path)}"
            if named.name in known:
                stored[named.name] = known[named.name]
                continue
            shutil.copyfile(path, named)
            try:
                stored[named.name] = upload_artifact(
                    artifact_store=artifact_store,
                    file_path=str(named),
                    study_or_trial=outcome.study,
                )
            except Exception as error:  # each store has errors of its own
                raise RegistryError(
                    f"artifact_store: {named.name} can't be written ({error}); check that the "
                    "store exists and takes writes",
                    artifact_store,
                ) from error
    return stored


def register_in_mlflow(outcome: SearchOutcome, name: str) -> str:
    """Makes the winner a version of a model in MLflow's registry.

    A run with the trial's parameters, the test's figures, the latency and all files is logged to
    MLflow's current tracking server (``mlflow.set_tracking_uri``, ``MLFLOW_TRACKING_URI``).

    Args:
        outcome: As for `store_winner`.
        name: Of the registered model; a version is added where it exists.

    Returns:
        The version.

    Raises:
        RegistryError: MLflow is missing or refuses, or the run has delivered no model.
    """
    best = _winner(outcome)
    try:
        mlflow = importlib.import_module("mlflow")
        importlib.import_module("mlflow.onnx")
    except ImportError as error:
        raise RegistryError(
            f"MLflow's registry needs MLflow ({error}): install it with: pip install mlflow"
        ) from error
    onnx = importlib.import_module("onnx")
    assert best.delivery is not None
    guaranteed = guaranteed_name(outcome.study.study_name, best)
    try:
        with mlflow.start_run(run_name=guaranteed):
            mlflow.log_params({_allowed(key): value for key, value in best.trial.params.items()})
            mlflow.log_metrics(_metrics(best))
            mlflow.set_tags(_tags(outcome, best))
            for path in _files(outcome):
                mlflow.log_artifact(str(path))
            place = "name" if int(mlflow.__version__.partition(".")[0]) >= 3 else "artifact_path"
            info = mlflow.onnx.log_model(
                onnx.load(best.delivery.onnx_file), registered_model_name=name, **{place: "model"}
            )
    except Exception as error:  # MLflow's and its storages'
        reason = " ".join(str(error).split())[:300]
        raise RegistryError(
            f"MLflow did not take the model ({type(error).__name__}: {reason}); check its "
            "tracking server",
            name,
        ) from error
    return str(info.registered_model_version)


def _allowed(name: str) -> str:
    """A parameter's name as MLflow takes it: ``block=conv/kernel`` with a colon for the sign."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("=", ":"))


def _winner(outcome: SearchOutcome) -> Finalist:
    if outcome.best is None or outcome.best.delivery is None:
        raise RegistryError(
            f"{outcome.folder}: the run has delivered no model; let the search finish first",
            str(outcome.folder),
        )
    return outcome.best


def _files(outcome: SearchOutcome) -> list[Path]:
    roles = ("ONNX model", "Keras model", "model card", "what is known of it, with the proof")
    return [outcome.files[role] for role in (*roles, "vocabulary") if role in outcome.files]


def _ending(path: Path) -> str:
    if path.name == CARD:
        return ".md"
    return f"-{path.name}" if path.suffix == ".txt" else path.suffix


def _metrics(best: Finalist) -> dict[str, float]:
    assert best.delivery is not None
    metrics = {
        "test_accuracy": best.delivery.test_accuracy,
        "test_loss": best.delivery.test_loss,
        "validation_accuracy": best.validation_accuracy,
    }
    if best.latency is not None:
        metrics["latency_median_ms"] = best.latency.median_ms
        metrics["latency_p90_ms"] = best.latency.p90_ms
        metrics["size_bytes"] = float(best.latency.size_bytes)
    return metrics


def _tags(outcome: SearchOutcome, best: Finalist) -> dict[str, Any]:
    tags = {"optuna_study": outcome.study.study_name, "optuna_trial": str(best.trial.number)}
    if best.latency is not None:
        where = best.latency.provenance
        tags.update({f"latency.{key}": str(value) for key, value in where.items()})
    return tags
