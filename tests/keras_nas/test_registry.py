"""A delivered model's card and its way into registries; MLflow is stood in for."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, download_artifact, get_all_artifact_meta
from scipy.stats import binomtest
from typer.testing import CliRunner

from keras_nas.cli import app
from keras_nas.delivery import Delivery
from keras_nas.finalists import Finalist
from keras_nas.model_card import accuracy_bound, guaranteed_name, model_card
from keras_nas.registry import RegistryError, register_in_mlflow, store_winner
from keras_nas.results import SearchOutcome
from optuna_nas.export import write_onnx
from optuna_nas.graph import GraphBuilder
from optuna_nas.profiling import LatencyProfile

NAME = "iris-tabular_mlp-trial1-acc88.6-lat0.022ms-a-cpu-2000"

LATENCY = LatencyProfile(
    median_ms=0.0195,
    p90_ms=0.0213,
    min_ms=0.019,
    ci_ms=(0.0194, 0.0197),
    ratio_to_anchor=0.2,
    ratio_ci=(0.19, 0.21),
    anchor_ms=0.095,
    anchor_reference_ms=None,
    runs=100,
    rounds=10,
    seconds=0.5,
    stopped_by="narrow",
    size_bytes=1234,
    provenance={"cpu": "A CPU (2000)", "cores": 4, "threads": 1, "batch": 1, "os": "Linux"},
)


@pytest.fixture
def outcome(tmp_path: Path) -> SearchOutcome:
    builder = GraphBuilder((4,))
    graph = builder.graph(builder.add("dense", {"units": 3}, ["input"]))
    onnx_file = write_onnx(graph, tmp_path / "best.onnx")
    keras_file = tmp_path / "best.keras"
    keras_file.write_bytes(b"a Keras model")
    study = optuna.create_study(study_name="iris-tabular_mlp")
    study.optimize(lambda trial: trial.suggest_float("kind=plain/width", 0, 1), n_trials=2)
    proof = {"images": 30, "agreement": 1.0, "max_abs_difference": 2e-7}
    delivery = Delivery(str(keras_file), str(onnx_file), 1.0, 0.05, proof, None, 1.0)
    best = Finalist(study.trials[1], 20, delivery, latency=LATENCY)
    files = {"Keras model": keras_file, "ONNX model": onnx_file}
    card = tmp_path / "model_card.md"
    card.write_text(model_card(study.study_name, best, data={"name": "iris"}, files=files))
    files = {**files, "model card": card, "report": tmp_path / "report.html"}
    return SearchOutcome(study, tmp_path, None, [best], best, files)


@pytest.mark.parametrize(("right", "examples"), [(0, 5), (30, 30), (340, 360), (9_000, 10_000)])
def test_the_bound_is_wilsons(right, examples):
    interval = binomtest(right, examples).proportion_ci(0.95, method="wilson")
    assert accuracy_bound(right / examples, examples) == pytest.approx(interval.low, abs=1e-4)


def test_the_name_promises_no_more_than_was_measured(outcome):
    assert guaranteed_name(outcome.study.study_name, outcome.best) == NAME


def test_the_card_says_what_where_and_of_which_files(outcome):
    text = outcome.files["model card"].read_text()
    assert text.startswith(f"# {NAME}\n")
    for words in (
        "at least 88.6% with 95 % confidence",
        "90 % of runs within 0.022 ms",
        "A CPU (2000), 1 of 4 cores",
        "`kind=plain/width`: ",
        hashlib.sha256(outcome.files["ONNX model"].read_bytes()).hexdigest(),
    ):
        assert words in text


def test_the_winner_goes_to_optunas_artifact_store_once(outcome, tmp_path: Path):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    store = FileSystemArtifactStore(str(folder))
    stored = store_winner(outcome, store)
    assert set(stored) == {f"{NAME}.onnx", f"{NAME}.keras", f"{NAME}.md"}
    metas = get_all_artifact_meta(study_or_trial=outcome.study)
    assert {meta.filename: meta.artifact_id for meta in metas} == stored
    back = tmp_path / "back.onnx"
    download_artifact(artifact_store=store, artifact_id=stored[f"{NAME}.onnx"], file_path=str(back))
    assert back.read_bytes() == outcome.files["ONNX model"].read_bytes()
    assert store_winner(outcome, store) == stored
    assert len(list(folder.iterdir())) == 3


def test_a_store_that_can_not_be_written(outcome, tmp_path: Path):
    with pytest.raises(RegistryError, match=r"artifact_store: .*check that the store exists"):
        store_winner(outcome, FileSystemArtifactStore(str(tmp_path / "missing")))


def test_a_run_without_a_model(outcome, tmp_path: Path):
    empty = SearchOutcome(outcome.study, tmp_path, None, [], None, {})
    with pytest.raises(RegistryError, match="has delivered no model"):
        store_winner(empty, FileSystemArtifactStore(str(tmp_path)))
    with pytest.raises(RegistryError, match="has delivered no model"):
        register_in_mlflow(empty, "iris")


class FakeMLflow(types.ModuleType):
    """Keeps what is logged."""

    def __init__(self, version: str) -> None:
        super().__init__("mlflow")
        self.__version__ = version
        self.logged: dict[str, Any] = {"artifacts": []}
        self.onnx = types.ModuleType("mlflow.onnx")
        self.onnx.log_model = self.log_model  # type: ignore[attr-defined]

    @contextlib.contextmanager
    def start_run(self, run_name: str) -> Iterator[None]:
        self.logged["run"] = run_name
        yield

    def log_params(self, params: dict[str, Any]) -> None:
        self.logged["params"] = params

    def log_metrics(self, metrics: dict[str, float]) -> None:
        self.logged["metrics"] = metrics

    def set_tags(self, tags: dict[str, Any]) -> None:
        self.logged["tags"] = tags

    def log_artifact(self, path: str) -> None:
        self.logged["artifacts"].append(Path(path).name)

    def log_model(self, model: Any, *, registered_model_name: str, **where: str) -> Any:
        if registered_model_name == "refused":
            raise ConnectionError("no server")
        self.logged["model"] = (len(model.graph.node) > 0, where, registered_model_name)
        return types.SimpleNamespace(registered_model_version=3)


@pytest.mark.parametrize(("version", "place"), [("2.22.0", "artifact_path"), ("3.1", "name")])
def test_the_winner_becomes_a_version_in_mlflow(outcome, monkeypatch, version, place):
    mlflow = FakeMLflow(version)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "mlflow.onnx", mlflow.onnx)
    assert register_in_mlflow(outcome, "iris") == "3"
    assert mlflow.logged["run"] == NAME
    assert list(mlflow.logged["params"]) == ["kind:plain/width"]  # MLflow refuses the sign
    assert mlflow.logged["model"] == (True, {place: "model"}, "iris")
    assert mlflow.logged["metrics"]["latency_p90_ms"] == 0.0213
    assert mlflow.logged["metrics"]["test_accuracy"] == 1.0
    assert mlflow.logged["tags"]["optuna_trial"] == "1"
    assert mlflow.logged["tags"]["latency.cpu"] == "A CPU (2000)"
    assert mlflow.logged["artifacts"] == ["best.onnx", "best.keras", "model_card.md"]
    with pytest.raises(RegistryError, match=r"did not take the model \(ConnectionError: no server"):
        register_in_mlflow(outcome, "refused")


def test_without_mlflow_the_error_says_how_to_get_it(outcome, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(RegistryError, match="pip install mlflow"):
        register_in_mlflow(outcome, "iris")


def test_the_command(outcome, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("keras_nas.runs.report_on", lambda path: outcome)
    run = CliRunner().invoke
    done = run(app, ["register", str(tmp_path), "--artifacts", str(tmp_path / "new" / "store")])
    assert done.exit_code == 0
    assert f"{NAME}.onnx" in done.output
    refused = run(app, ["register", str(tmp_path)])
    assert refused.exit_code == 2
    assert "give --artifacts FOLDER, --mlflow NAME, or both" in refused.output
