"""`import optuna_nas` is light, and its public names are what they are said to be."""

from __future__ import annotations

import subprocess
import sys

import optuna_nas


def imported_of(names: str, modules: str) -> str:
    """Which of the names a fresh interpreter has imported after the modules, as a list's text."""
    code = f"import sys, {modules}; print(sorted(set('{names}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_no_framework_is_imported() -> None:
    heavy = "keras tensorflow torch jax onnx onnxruntime sklearn pandas plotly keras_nas"
    modules = "optuna_nas, optuna_nas.spaces, optuna_nas.samplers, optuna_nas.pruners"
    assert imported_of(heavy, modules) == "[]"


def test_scipy_is_imported_where_it_is_needed() -> None:
    modules = "optuna_nas, optuna_nas.spaces, optuna_nas.samplers, optuna_nas.pruners"
    assert imported_of("scipy optuna_nas.samplers", modules) == "['optuna_nas.samplers']"
    assert imported_of("scipy", "optuna_nas.search.predictor") == "['scipy']"


def test_public_names_exist() -> None:
    assert sorted(optuna_nas.__all__) == optuna_nas.__all__
    for name in optuna_nas.__all__:
        assert getattr(optuna_nas, name) is not None
