"""The objective with real worker processes, and candidates that do what they should not."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from keras_nas import NASObjective, register_block
from keras_nas._keras import keras
from keras_nas.data import Dataset, load
from optuna_nas._optuna import FAILURE, record_of
from optuna_nas.graph import operations
from optuna_nas.space import Choice, SearchSpace, dense, layer

pytestmark = pytest.mark.slow

TROUBLE = "trouble_of_tests"


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("iris")


@pytest.fixture(scope="module")
def trouble() -> Iterator[str]:
    """A block that does, when it is built in a worker, what its attribute says."""
    director = os.getpid()

    def build(kind: str) -> object:
        if os.getpid() != director:
            if kind == "raise":
                raise RuntimeError("this block can't be built")
            if kind == "kill":
                os.kill(os.getpid(), 9)
            while kind == "hoard":
                hoard.append(np.ones(2**22))
            while kind == "hang":
                pass
        return keras.layers.Dense(8)

    hoard: list[np.ndarray] = []
    register_block(
        TROUBLE,
        build,
        output_shape=lambda _attributes, inputs: (8,),
        params=lambda _attributes, inputs: inputs[0][-1] * 8 + 8,
        macs=lambda _attributes, inputs: inputs[0][-1] * 8,
    )
    yield TROUBLE
    operations._OPERATIONS.pop(TROUBLE)
    from keras_nas.blocks.registry import _OWN

    _OWN.pop(TROUBLE)


def troubled_space(data: Dataset, kinds: list[str]) -> SearchSpace:
    choices = {kind: layer(TROUBLE, kind=kind) for kind in kinds}
    return SearchSpace(
        "troubled",
        input_shape=data.input_shape,
        classes=data.classes,
        body=[Choice("kind", choices)],
    )


def test_bad_candidates_fail_with_their_reason_and_the_search_goes_on(
    data: Dataset, trouble: str
) -> None:
    reasons = {
        "none": None,
        "raise": "RuntimeError: this block can't be built",
        "kill": "killed by SIGKILL",
        "hoard": "over the limit of 1500 MiB",
        "hang": "took longer than the limit of 5 s",
    }
    space = troubled_space(data, list(reasons))
    with NASObjective(
        space,
        data,
        objectives=("accuracy", "params"),
        epochs=1,
        threads=1,
        time_limit=5,
        memory_limit=1500 * 2**20,
        reuse=False,
    ) as objective:
        study = optuna.create_study(directions=objective.directions)
        for kind in [*reasons, "none"]:
            study.enqueue_trial({"kind": kind})
        study.optimize(objective, n_trials=len(reasons) + 1)
    for trial in study.trials:
        reason = reasons[trial.params["kind"]]
        if reason is None:
            assert trial.state == TrialState.COMPLETE, trial.user_attrs.get(FAILURE)
        else:
            assert trial.state == TrialState.FAIL
            assert reason in trial.user_attrs[FAILURE]


def test_same_seed_same_result_in_process_and_out_of_it(data: Dataset) -> None:
    space = SearchSpace(
        "one",
        input_shape=data.input_shape,
        classes=data.classes,
        body=[dense(Choice("n", [8, 16]))],
    )
    curves = []
    for isolation in ("process", "none"):
        with NASObjective(
            space, data, objectives=("accuracy", "latency_ms"), epochs=3, isolation=isolation
        ) as objective:
            study = optuna.create_study(directions=objective.directions)
            study.enqueue_trial({"n": 8})
            study.optimize(objective, n_trials=1)
            curves.append(record_of(study.trials[0]).curve)
            assert study.trials[0].values[1] > 0
    np.testing.assert_allclose(curves[0]["val_loss"], curves[1]["val_loss"], rtol=1e-5)


def test_a_script_without_a_guard_and_without_tensorflow(tmp_path: Path) -> None:
    """As users write them; Keras is imported by the workers only."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        import optuna
        from keras_nas import NASObjective
        from optuna_nas import SearchSpace, Choice
        from optuna_nas.space import dense
        from keras_nas.data import load

        data = load("iris")
        space = SearchSpace("mine", input_shape=data.input_shape, classes=data.classes,
                            body=[dense(Choice("units", [4, 8]))])
        objective = NASObjective(space, data, objectives=("accuracy",), epochs=2)
        study = optuna.create_study(direction="maximize")
        study.optimize(objective, n_trials=2)
        print(study.best_value > 0, "tensorflow" in sys.modules, "keras" in sys.modules)
        """)
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.stdout.split() == ["True", "False", "False"]
