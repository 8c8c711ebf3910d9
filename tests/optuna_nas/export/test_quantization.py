from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest

from optuna_nas.errors import ExportError
from optuna_nas.export import float16_onnx, quantize_onnx
from tests.optuna_nas.digits_model import TRAINED, digits, outputs, trained_digits

X, Y = digits()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "digits.onnx"
    path.write_bytes(trained_digits())
    return path


def accuracy(path: Path) -> float:
    return float(np.mean(outputs(path, X[TRAINED:]).argmax(axis=1) == Y[TRAINED:]))


def kinds(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def test_static_int8_keeps_the_accuracy_in_a_third_of_the_size(model: Path, tmp_path: Path):
    path = quantize_onnx(model, tmp_path / "int8.onnx", calibration=X[:100])
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds(path)
    assert accuracy(model) > 0.95
    assert accuracy(path) == pytest.approx(accuracy(model), abs=0.01)
    assert path.stat().st_size < model.stat().st_size / 2.5
    assert np.abs(outputs(path, X) - outputs(model, X)).max() > 0  # it does compute otherwise


def test_static_int8_covers_what_it_was_calibrated_on(model: Path, tmp_path: Path):
    """Ranges come from the examples: dark ones make a model that can't see bright ones."""
    dark = quantize_onnx(model, tmp_path / "dark.onnx", calibration=X[:100] * 0.05)
    right = quantize_onnx(model, tmp_path / "right.onnx", calibration=X[:100])
    assert accuracy(dark) < accuracy(right) - 0.05


def test_dynamic_int8(model: Path, tmp_path: Path):
    path = quantize_onnx(model, tmp_path / "int8.onnx")
    assert "ConvInteger" in kinds(path)
    assert accuracy(path) == pytest.approx(accuracy(model), abs=0.01)


def test_float16(model: Path, tmp_path: Path):
    path = float16_onnx(model, tmp_path / "float16.onnx")
    types = {item.data_type for item in onnx.load(path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in types
    assert onnx.TensorProto.FLOAT not in types
    assert np.abs(outputs(path, X) - outputs(model, X)).max() < 0.01
    assert path.stat().st_size < model.stat().st_size / 1.8


def test_the_bytes_are_reproducible(model: Path, tmp_path: Path):
    for make in (
        lambda path: quantize_onnx(model, path, calibration=X[:40]),
        lambda path: quantize_onnx(model, path),
        lambda path: float16_onnx(model, path),
    ):
        first, second = make(tmp_path / "a.onnx"), make(tmp_path / "b.onnx")
        assert first.read_bytes() == second.read_bytes()


def test_a_fixed_batch_is_calibrated_in_its_size(tmp_path: Path):
    path = tmp_path / "digits.onnx"
    path.write_bytes(trained_digits(batch=7))
    written = quantize_onnx(path, tmp_path / "int8.onnx", calibration=X[:20])
    agreed = outputs(written, X[:7]).argmax(axis=1) == outputs(path, X[:7]).argmax(axis=1)
    assert agreed.all()


@pytest.mark.parametrize("shape", [(10, 8, 8), (10, 9, 8, 1), (0, 8, 8, 1)])
def test_examples_that_do_not_fit(model: Path, tmp_path: Path, shape):
    target = tmp_path / "int8.onnx"
    with pytest.raises(ExportError, match="calibration: expected examples of shape"):
        quantize_onnx(model, target, calibration=np.zeros(shape, np.float32))
    assert not target.exists()


def test_what_is_no_model(tmp_path: Path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"not a model")
    for convert in (quantize_onnx, float16_onnx):
        with pytest.raises(ExportError, match=r"bad\.onnx can't be converted"):
            convert(path, tmp_path / "out.onnx")


def test_logging_is_left_as_it_was(model: Path, tmp_path: Path):
    quantize_onnx(model, tmp_path / "int8.onnx")
    assert logging.root.manager.disable == 0
