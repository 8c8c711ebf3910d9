from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from keras_nas import build_model, export_onnx
from keras_nas._keras import keras
from keras_nas.export import ExportProof, prove
from keras_nas.graph_of import UnsupportedModelError
from optuna_nas.errors import ExportError
from optuna_nas.export import Preprocessing
from optuna_nas.spaces import chain_cnn, nas_bench_201

L = keras.layers
BEFORE = Preprocessing([1.0, 2.0, 3.0], [0.5, 1.0, 2.0])


@pytest.fixture(scope="module")
def model() -> Any:
    return keras.Sequential([
        keras.Input((6, 6, 3)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(5),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def recurrent() -> Any:
    """A model that only Keras's own export can write."""
    return keras.Sequential([keras.Input((5, 3)), L.SimpleRNN(4), L.Dense(3)])


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(1, 3, (10, 6, 6, 3))


@pytest.mark.parametrize(
    "space",
    [nas_bench_201(cells=1), chain_cnn(input_shape=(9, 12, 3), classes=4)],
    ids=lambda space: space.name,
)
def test_our_writer_and_kerass_export_agree(space, tmp_path: Path):
    rng = np.random.default_rng(0)
    for seed in range(2):
        graph = space.graph(space.sample(rng))
        model = build_model(graph, seed=seed)
        for _ in range(2):  # gives normalisations statistics of their own
            model(rng.normal(1, 2, (8, *graph.input_shape)), training=True)
        x = rng.normal(1, 2, (5, *graph.input_shape))
        for method in ("graph", "keras"):
            path = export_onnx(model, tmp_path / f"{method}.onnx", method=method, softmax=True)
            proof = prove(model, path, x, softmax=True)
            assert proof.passed, (method, proof)


@pytest.mark.parametrize("method", ["graph", "keras"])
@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("softmax", [False, True])
def test_preprocessing_softmax_and_batch(model, x, tmp_path: Path, method, batch, softmax):
    path = export_onnx(
        model,
        tmp_path / "m.onnx",
        preprocessing=BEFORE,
        softmax=softmax,
        batch=batch,
        method=method,
    )
    onnx.checker.check_model(str(path), full_check=True)
    proof = prove(model, path, x, preprocessing=BEFORE, softmax=softmax, batch_size=3)
    assert proof.passed
    assert proof.samples == 10
    assert not prove(model, path, x, softmax=softmax).passed  # without it, they differ
    size = onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0]
    assert size.dim_value == (batch or 0)


def test_both_preprocessings_are_applied(x, tmp_path: Path):
    model = keras.Sequential([
        keras.Input((6, 6, 3)), L.Rescaling(0.1, offset=2.0), L.Flatten(), L.Dense(5),
    ])  # fmt: skip
    path = export_onnx(model, tmp_path / "m.onnx", preprocessing=BEFORE, method="graph")
    assert prove(model, path, x, preprocessing=BEFORE).passed


def test_other_models_fall_back_to_kerass_export(recurrent, tmp_path: Path):
    path = export_onnx(recurrent, tmp_path / "m.onnx", preprocessing=BEFORE, softmax=True)
    x = np.random.default_rng(0).normal(1, 2, (4, 5, 3))
    assert prove(recurrent, path, x, preprocessing=BEFORE, softmax=True).passed
    with pytest.raises(UnsupportedModelError, match="SimpleRNN"):
        export_onnx(recurrent, tmp_path / "other.onnx", method="graph")
    assert [item.name for item in tmp_path.iterdir()] == ["m.onnx"]


def test_a_subclassed_model_that_was_called(tmp_path: Path):
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = L.Dense(3)

        def call(self, x):
            return self.dense(x) * 2.0

    model = Own()
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    with pytest.raises(ExportError, match="call it once"):
        export_onnx(model, tmp_path / "m.onnx")
    model(x)
    assert prove(model, export_onnx(model, tmp_path / "m.onnx"), x).passed


def test_silent_failures_of_kerass_export_are_found(tmp_path: Path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"what was here before")
    gelu = keras.Sequential([keras.Input((4,)), L.Dense(3, activation="gelu")])
    with pytest.raises(ExportError, match="Erfc"):
        export_onnx(gelu, path, method="keras")
    grouped = keras.Sequential([keras.Input((4, 4, 4)), L.Conv2D(4, 3, groups=2), L.LeakyReLU(0.1)])
    with pytest.raises(ExportError, match=r"negative_slope=0\.1.*the other way"):
        export_onnx(grouped, path)
    assert path.read_bytes() == b"what was here before"
    assert list(tmp_path.iterdir()) == [path]
    assert export_onnx(gelu, path).stat().st_size > 100


def test_wrong_arguments(model, tmp_path: Path):
    with pytest.raises(ExportError, match="method: expected 'auto'"):
        export_onnx(model, tmp_path / "m.onnx", method="torch")
    with pytest.raises(ExportError, match="there is no folder"):
        export_onnx(model, tmp_path / "nowhere" / "m.onnx")
    wrong = Preprocessing([1.0, 2.0], 1.0)
    with pytest.raises(ExportError, match="mean has 2 values, the input 3"):
        export_onnx(model, tmp_path / "m.onnx", preprocessing=wrong)
    assert not list(tmp_path.iterdir())


def test_a_proof_fails_for_another_model(model, x, tmp_path: Path):
    path = export_onnx(model, tmp_path / "m.onnx")
    other = keras.models.clone_model(model)
    proof = prove(other, path, x)
    assert not proof.passed
    assert proof.max_abs_difference > proof.tolerance
    assert ExportProof(**proof.to_dict()) == proof


def test_a_proof_fails_on_what_is_no_number(model, x, tmp_path: Path):
    path = export_onnx(model, tmp_path / "m.onnx")
    x[3] = np.nan
    assert not prove(model, path, x).passed


def test_a_proof_needs_fitting_examples(model, x, tmp_path: Path):
    path = export_onnx(model, tmp_path / "m.onnx")
    with pytest.raises(ExportError, match="at least one example"):
        prove(model, path, x[:0])
    with pytest.raises(ExportError, match="does not take x"):
        prove(model, path, x[:, :5])
    (tmp_path / "bad.onnx").write_bytes(b"abc")
    with pytest.raises(ExportError, match="can't load"):
        prove(model, tmp_path / "bad.onnx", x)


def test_the_file_says_what_made_it(model, tmp_path: Path):
    assert onnx.load(export_onnx(model, tmp_path / "m.onnx")).producer_name == "optuna-nas"
