from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from optuna_nas.errors import ProfilingError
from optuna_nas.profiling import measure_variants
from optuna_nas.profiling.__main__ import main
from tests.optuna_nas.digits_model import TRAINED, digits, outputs, trained_digits

X, Y = (part[TRAINED:] for part in digits())


@pytest.fixture(scope="module")
def digits_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "digits.onnx"
    path.write_bytes(trained_digits())
    return path


def test_variants_stand_beside_their_model(digits_file: Path, tmp_path: Path):
    variants = measure_variants(digits_file, X, Y, folder=tmp_path, budget_seconds=0.05)
    assert [v.name for v in variants] == ["float32", "int8", "int8 dynamic", "float16"]
    first, *others = variants
    assert (first.speedup, first.agreement, first.max_abs_difference) == (1.0, 1.0, 0.0)
    right = outputs(digits_file, X[200:]).argmax(axis=1) == Y[200:]
    assert first.accuracy == pytest.approx(right.mean())
    for variant in others:
        assert variant.examples == len(X) - 200
        assert variant.speedup == pytest.approx(first.profile.min_ms / variant.profile.min_ms)
        assert variant.accuracy == pytest.approx(first.accuracy, abs=0.01)
        assert variant.agreement > 0.98
        assert variant.max_abs_difference > 0
        assert variant.profile.size_bytes < first.profile.size_bytes
        assert variant.profile.provenance["interleaved_models"] == 4
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"digits-int8.onnx", "digits-int8-dynamic.onnx", "digits-float16.onnx"}


def test_a_batch_fixed_in_the_file_and_no_classes(tmp_path: Path):
    path = tmp_path / "fixed.onnx"
    path.write_bytes(trained_digits(batch=8))
    variants = measure_variants(path, X[:30], budget_seconds=0.05, anchor=False)
    assert [v.examples for v in variants] == [15] * 4
    assert [v.accuracy for v in variants] == [None] * 4


def test_the_command_shows_them(digits_file: Path, tmp_path: Path, capsys):
    examples = tmp_path / "examples.npz"
    np.savez(examples, x=X[:60], y=Y[:60])
    options = [str(digits_file), "--variants", str(examples), "--budget", "0.05"]
    assert main(options) == 0
    text = capsys.readouterr().out
    for word in ("int8 dynamic", "float16", "speed-up", "accuracy", "30 examples compared"):
        assert word in text
    assert main([*options, "--json"]) == 0
    assert [state["name"] for state in json.loads(capsys.readouterr().out)][1] == "int8"


def test_unfit_examples(digits_file: Path, tmp_path: Path, capsys):
    with pytest.raises(ProfilingError, match="expected two examples or more"):
        measure_variants(digits_file, X[:10], Y[:9])
    bad = tmp_path / "examples.npz"
    np.savez(bad, images=X[:10])
    for path in (bad, tmp_path / "missing.npz", digits_file):
        assert main([str(digits_file), "--variants", str(path)]) == 2
        assert "expected a NumPy .npz file with x" in capsys.readouterr().err
    np.savez(bad, x=X[:10])
    assert main([str(digits_file), str(digits_file), "--variants", str(bad)]) == 2
    assert "expected one model" in capsys.readouterr().err
