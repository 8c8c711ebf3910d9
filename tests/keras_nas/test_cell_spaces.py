"""Spaces of cells as Keras models: every draw builds, trains, exports and agrees."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest

from keras_nas import build_model, export_onnx
from optuna_nas import SearchSpace
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.spaces import darts, nas_bench_101, nas_bench_macro, nasnet
from tests.optuna_nas.spaces.same_cells import rewritten
from tests.same_function import weights_by_place

SMALL = [
    nas_bench_macro(input_shape=(8, 8, 1), classes=3, channels=4, depths=(2, 1), head=8),
    nas_bench_101(input_shape=(8, 8, 1), classes=3, channels=7, stacks=2, modules=1),
    darts(input_shape=(7, 8, 1), classes=3, channels=3, cells=3, nodes=2),
    nasnet(input_shape=(7, 8, 1), classes=3, channels=3, cells=1, stages=2, blocks=2),
]


@pytest.mark.slow
@pytest.mark.parametrize("space", SMALL, ids=lambda space: space.name)
@pytest.mark.parametrize("seed", range(3))
def test_draws_build_train_export_and_agree(space: SearchSpace, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    graph = space.graph(space.sample(rng))
    model = build_model(graph, seed=seed)
    assert model.count_params() == graph.params + graph.non_trainable_params
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss, run_eagerly=True)
    x = rng.normal(size=(4, *graph.input_shape)).astype(np.float32)
    assert np.isfinite(model.train_on_batch(x, np.array([0, 1, 2, 0])))
    path = export_onnx(model, tmp_path / "model.onnx", method="graph")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {session.get_inputs()[0].name: x})
    expected = np.asarray(model(x, training=False))
    np.testing.assert_allclose(output, expected, atol=1e-4 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("space", SMALL[2:], ids=lambda space: space.name)
def test_cells_written_in_another_way_are_one_model(space: SearchSpace) -> None:
    module = import_module(f"optuna_nas.spaces.{space.name}")
    rng = np.random.default_rng(0)
    genotype = other = space.sample(rng)
    while other == genotype:
        text = rewritten(module.to_genotype(genotype), module.OPERATIONS, rng)
        other = space.genotype(module.from_genotype(text))
    a, b = space.graph(genotype), space.graph(other)
    assert a.canonical_id == b.canonical_id
    np.testing.assert_allclose(output(a), output(b), rtol=1e-3, atol=1e-4)


def output(graph: ArchitectureGraph) -> np.ndarray:
    model = build_model(graph)
    for layer, weights in weights_by_place(graph).items():
        for variable in model.get_layer(layer).weights:
            variable.assign(weights[variable.name])
    x = np.random.default_rng(0).normal(size=(2, *graph.input_shape)).astype(np.float32)
    return np.asarray(model(x, training=False))


@pytest.mark.slow
def test_a_real_network_has_as_many_parameters_in_keras() -> None:
    space = darts()
    graph = space.graph(space.references["DARTS_V2"])
    model = build_model(graph)
    assert model.count_params() - graph.non_trainable_params == 3_349_342
