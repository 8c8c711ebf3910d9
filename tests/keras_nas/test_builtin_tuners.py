"""Keras Tuner's own tuners search declared spaces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_nas import NASHyperModel
from keras_nas._keras_tuner import keras_tuner
from optuna_nas.space import (
    Cell,
    Choice,
    Edge,
    Float,
    Integer,
    Maybe,
    Parallel,
    Repeat,
    SearchSpace,
    Tied,
    activation,
    batch_normalization,
    dense,
    dropout,
    identity,
)
from optuna_nas.spaces import chain_cnn, nas_bench_201

pytestmark = [
    pytest.mark.usefixtures("quick_collections", "eager"),
    pytest.mark.filterwarnings(
        "ignore:(currentThread|getName):DeprecationWarning:keras_tuner",
        # scikit-learn, of Keras Tuner's Gaussian process on two or three trials.
        "ignore::sklearn.exceptions.ConvergenceWarning",
    ),
]

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras Tuner asks for tensorboard, which TensorFlow no longer brings, in every trial."""
    monkeypatch.setattr(keras_tuner.Tuner, "_configure_tensorboard_dir", lambda *_args: None)


def nested() -> SearchSpace:
    """A table's network in which one decision is met under many others, and training decisions."""
    function = Tied(Choice("function", ["relu", "tanh"]))
    kinds = {
        "plain": [dense(Choice("units", [4, 8])), activation(function)],
        "normalised": [dense(4), batch_normalization(), activation(function)],
        "skip": identity(),
    }
    gates = [Edge(0, [dense(4), activation(function)]), Edge(0, dense(4))]
    return SearchSpace(
        "nested",
        input_shape=(5,),
        classes=3,
        body=[
            Repeat("block", 0, 2, [Choice("kind", kinds), Maybe("drop", dropout(0.1))]),
            Maybe("gate", Cell("cell", [Parallel(gates, merge="multiply")])),
        ],
        training=[
            Float("learning_rate", 1e-3, 1e-1, log=True),
            Integer("batch_size", 4, 16, log=True),
        ],
    )


SPACES: dict[str, Callable[[], SearchSpace]] = {
    "chain": lambda: chain_cnn(input_shape=(4, 4, 1), classes=3, stages=1, widths=(2, 4)),
    "cell": lambda: nas_bench_201(input_shape=(4, 4, 1), classes=3, channels=2, cells=1),
    "nested": nested,
}
TUNERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "random": (keras_tuner.RandomSearch, {"max_trials": 2}),
    "grid": (keras_tuner.GridSearch, {"max_trials": 2}),
    "bayesian": (keras_tuner.BayesianOptimization, {"max_trials": 3, "num_initial_points": 2}),
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": 2, "factor": 2}),
}


def data(space: SearchSpace) -> tuple[Any, Any]:
    return RNG.normal(size=(12, *space.input_shape)).astype("float32"), np.arange(12) % 3


def search(tuner: Any, space: SearchSpace) -> list[Any]:
    x, y = data(space)
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    return list(tuner.oracle.trials.values())


@pytest.mark.parametrize(
    ("kind", "name"),
    # Every kind of decision and of condition under each tuner, and each space.
    [*((kind, "nested") for kind in TUNERS), ("grid", "chain"), ("random", "cell")],
)
def test_searches(kind: str, name: str, tmp_path: Path) -> None:
    space = SPACES[name]()
    hypermodel = NASHyperModel(space)
    tuner_class, options = TUNERS[kind]
    tuner = tuner_class(hypermodel, "val_loss", seed=1, directory=str(tmp_path), **options)
    trials = search(tuner, space)
    assert len(trials) >= 2
    assert {trial.status for trial in trials} == {"COMPLETED"}
    for trial in trials:
        genotype = hypermodel.genotype(trial.hyperparameters)
        assert genotype.items() <= trial.hyperparameters.values.items()


def test_the_bound_method_searches(tmp_path: Path) -> None:
    space = nested()
    hypermodel = NASHyperModel(space)
    tuner = keras_tuner.RandomSearch(
        hypermodel.build, "val_loss", max_trials=2, directory=str(tmp_path)
    )
    for trial in search(tuner, space):
        assert trial.status == "COMPLETED"
        assert hypermodel.genotype(trial.hyperparameters)


def test_weights_of_the_best_epoch_come_back(tmp_path: Path) -> None:
    space = nested()
    hypermodel = NASHyperModel(space)
    tuner = keras_tuner.RandomSearch(
        hypermodel, "val_loss", max_trials=2, seed=1, directory=str(tmp_path)
    )
    x, y = data(space)
    tuner.search(x, y, validation_data=(x, y), epochs=2, verbose=0)
    best = tuner.oracle.get_best_trials()[0]
    (model,) = tuner.get_best_models()
    assert model.genotype == hypermodel.genotype(best.hyperparameters)
    assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(best.score, abs=1e-5)


class Joint(NASHyperModel):
    """Searches, with the network, how it is trained."""

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        model.optimizer.learning_rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
        kwargs["batch_size"] = hp.Choice("rows", [2, 4, 8])
        return super().fit(hp, model, *args, **kwargs)


@pytest.mark.parametrize("kind", TUNERS)
def test_fit_may_declare_hyperparameters_of_its_own(kind: str, tmp_path: Path) -> None:
    space = SearchSpace("s", input_shape=(5,), classes=3, body=[dense(Choice("units", [2, 4, 8]))])
    hypermodel = Joint(space)
    tuner_class, options = TUNERS[kind]
    tuner = tuner_class(hypermodel, "val_loss", seed=1, directory=str(tmp_path), **options)
    trials = search(tuner, space)
    assert {trial.status for trial in trials} == {"COMPLETED"}
    for trial in trials:
        assert {"units", "rate", "rows"} <= trial.hyperparameters.values.keys()
        assert hypermodel.genotype(trial.hyperparameters).keys() == {"units"}


@pytest.mark.parametrize("kind", TUNERS)
def test_infeasible_architectures_fail_with_the_reason(kind: str, tmp_path: Path) -> None:
    space = SearchSpace(
        "narrow",
        input_shape=(5,),
        classes=3,
        body=[dense(Choice("first", [64, 2, 128, 4])), dense(Choice("second", [64, 2, 4]))],
        max_params=600,
    )
    hypermodel = NASHyperModel(space)
    tuner_class, options = TUNERS[kind]
    tuner = tuner_class(
        hypermodel,
        "val_loss",
        seed=3,
        max_consecutive_failed_trials=100,
        max_retries_per_trial=2,
        directory=str(tmp_path),
        **{**options, **({"max_trials": 6} if "max_trials" in options else {})},
    )
    trials = search(tuner, space)
    failed = [trial for trial in trials if trial.status == "FAILED"]
    assert {trial.status for trial in trials} == {"FAILED", "COMPLETED"}
    for trial in trials:
        feasible = space.feasible(hypermodel.genotype(trial.hyperparameters))
        assert feasible == (trial.status == "COMPLETED")
    for trial in failed:
        assert "are over the limit max_params=600" in trial.message
        assert tuner.oracle._run_times[trial.trial_id] == 1  # none was tried again


def test_a_search_goes_on_where_it_was_left(tmp_path: Path) -> None:
    space = nested()
    scores = []
    for most in (1, 2):
        tuner = keras_tuner.RandomSearch(
            NASHyperModel(space), "val_loss", max_trials=most, seed=1, directory=str(tmp_path)
        )
        trials = search(tuner, space)
        scores.append({trial.trial_id: trial.score for trial in trials})
    assert len(scores[1]) == 2
    assert scores[0].items() <= scores[1].items()
