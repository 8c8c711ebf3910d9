"""Networks for tables with columns of categories, from the data to the exported model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest

from keras_nas import NASObjective, build_model, export_onnx
from keras_nas.data import Dataset, Source, make_dataset
from keras_nas.export import prove
from keras_nas.graph_of import graph_of
from keras_nas.training import evaluate, train
from optuna_nas.spaces import tabular_mlp


@pytest.fixture(scope="module")
def table() -> Dataset:
    """A class that is decided by a category alone, which no straight line separates."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, 600)
    x = np.stack([100 * rng.normal(size=600), codes, rng.integers(0, 3, 600)], axis=1)
    source = Source("codes", x, codes % 2, categorical=(1, 2))
    return make_dataset(source, seed=0, validation=0.2, test=0.2)


def test_categories_are_not_scaled(table: Dataset) -> None:
    prepared = table.preprocessing.apply(table.x_train)
    np.testing.assert_array_equal(prepared[:, 1:], table.x_train[:, 1:])
    assert abs(float(prepared[:, 0].std()) - 1) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_draw_learns_exports_and_agrees(table: Dataset, seed: int, tmp_path: Path) -> None:
    space = tabular_mlp(input_shape=(3,), categories={1: 6, 2: 3}, max_blocks=2, widths=(8, 16))
    graph = space.graph(space.sample(np.random.default_rng(seed)))
    model = build_model(graph, seed=seed)
    assert model.count_params() == graph.params + graph.non_trainable_params
    assert graph_of(model).graph.canonical_id == graph.canonical_id
    x = table.preprocessing.apply(table.x_train)
    train(model, x, table.y_train, epochs=12, batch_size=32, learning_rate=0.01)
    _, accuracy = evaluate(model, table.preprocessing.apply(table.x_val), table.y_val)
    assert accuracy > 0.9
    path = export_onnx(model, tmp_path / "model.onnx", preprocessing=table.preprocessing)
    assert prove(model, path, table.x_test, preprocessing=table.preprocessing).passed


@pytest.mark.slow
def test_a_study_measures_and_trains_them(table: Dataset) -> None:
    space = tabular_mlp(input_shape=(3,), categories={1: 6, 2: 3}, max_blocks=1, widths=(8,))
    with NASObjective(space, table, epochs=6, isolation="none") as objective:
        study = optuna.create_study(directions=objective.directions)
        for reference in space.references.values():
            study.enqueue_trial(reference.params)
        study.optimize(objective, n_trials=2)
    assert max(trial.values[0] for trial in study.trials) > 0.8
