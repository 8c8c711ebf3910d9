"""`import optuna_nas` is light, and its public names are what they are said to be."""

from __future__ import annotations

import subprocess
import sys

import optuna_nas


def test_no_framework_is_imported() -> None:
    heavy = "keras tensorflow torch jax onnx onnxruntime sklearn pandas plotly keras_nas"
    code = (
        "import sys, optuna_nas, optuna_nas.spaces, optuna_nas.samplers, optuna_nas.pruners; "
        f"print(sorted(set('{heavy}'.split()) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    assert sorted(optuna_nas.__all__) == optuna_nas.__all__
    for name in optuna_nas.__all__:
        assert getattr(optuna_nas, name) is not None
