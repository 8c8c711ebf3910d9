"""`build_model` holds exactly what the graph says, and what it saves needs Keras alone."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_nas import build_model
from optuna_nas.errors import InfeasibleArchitectureError
from optuna_nas.graph import ArchitectureGraph, GraphBuilder
from optuna_nas.space import SearchSpace
from optuna_nas.spaces import chain_cnn, nas_bench_201, tabular_mlp

SPACES = {
    "nas_bench_201": lambda: nas_bench_201(input_shape=(8, 8, 1), channels=4, cells=1),
    "chain_cnn": lambda: chain_cnn(input_shape=(8, 8, 3), classes=4),
    "tabular_mlp": lambda: tabular_mlp(input_shape=(7,), classes=3),
}


def graph_of(space: SearchSpace, seed: int) -> ArchitectureGraph:
    return space.graph(space.sample(np.random.default_rng(seed)))


@pytest.mark.parametrize("name", SPACES)
def test_parameters_equal_the_graph(name: str) -> None:
    space = SPACES[name]()
    for seed in range(25):
        graph = graph_of(space, seed)
        model = build_model(graph)
        trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        assert trainable == graph.params
        assert model.count_params() == graph.params + graph.non_trainable_params
        assert model.input_shape == (None, *graph.input_shape)
        assert model.output_shape == (None, *graph.output_shape)


def test_layers_bear_the_names_of_their_specifications() -> None:
    graph = graph_of(SPACES["nas_bench_201"](), 3)
    model = build_model(graph)
    assert {layer.name for layer in model.layers} == {spec.name for spec in graph.layers}
    assert model.architecture is graph


def test_seed_decides_the_weights_and_touches_no_one_elses_numbers() -> None:
    graph = graph_of(SPACES["chain_cnn"](), 0)
    random.seed(5)
    state = random.getstate()
    first, second, other = (build_model(graph, seed=seed) for seed in (0, 0, 1))
    assert random.getstate() == state
    pairs = list(zip(first.get_weights(), second.get_weights(), strict=True))
    assert all(np.array_equal(a, b) for a, b in pairs)
    x = np.random.default_rng(0).normal(size=(4, *graph.input_shape)).astype("float32")
    assert not np.allclose(first(x), other(x))


def test_layers_of_one_model_differ_under_a_seed() -> None:
    builder = GraphBuilder((4,))
    names = [builder.add("dense", {"units": 4}, ["input"]) for _ in range(2)]
    model = build_model(builder.graph(builder.add("add", {}, names)), seed=0)
    kernels = [model.get_layer(name).get_weights()[0] for name in names]
    assert not np.allclose(*kernels)


def test_pruned_network_computes_the_same() -> None:
    graph = graph_of(SPACES["nas_bench_201"](), 11)
    assert len(graph.pruned().layers) < len(graph.layers)
    whole, pruned = build_model(graph, seed=0), build_model(graph.pruned(), seed=1)
    for layer in pruned.layers:
        layer.set_weights(whole.get_layer(layer.name).get_weights())
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(whole(x), pruned(x), atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
def test_saved_models_need_keras_alone(tmp_path: Path) -> None:
    whole = graph_of(SPACES["nas_bench_201"](), 11)  # holds a `zero`
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype("float32")
    for name, graph in {"whole": whole, "pruned": whole.pruned()}.items():
        model = build_model(graph, seed=0)
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", x=x, y=np.asarray(model(x)))
    script = (
        "import sys, keras, numpy as np\n"
        "for name in ('whole', 'pruned'):\n"
        "    data = np.load(f'{name}.npz')\n"
        "    model = keras.models.load_model(f'{name}.keras')\n"
        "    np.testing.assert_allclose(model(data['x']), data['y'], atol=1e-6, err_msg=name)\n"
        "assert 'keras_nas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=120)


def test_what_keras_refuses_names_the_layer() -> None:
    builder = GraphBuilder((8, 8, 1))
    attributes: dict[str, Any] = {
        "filters": 2,
        "kernel_size": 3,
        "strides": 2,
        "dilation_rate": 2,
    }
    graph = builder.graph(builder.add("conv2d", attributes, ["input"], name="both"))
    with pytest.raises(InfeasibleArchitectureError, match=r"'both' \(conv2d\) can't be built"):
        build_model(graph)


def test_layers_nobody_reads_are_left_out() -> None:
    builder = GraphBuilder((4,))
    builder.add("dense", {"units": 9}, ["input"], name="lonely")
    model = build_model(builder.graph(builder.add("dense", {"units": 2}, ["input"])))
    assert "lonely" not in {layer.name for layer in model.layers}


def test_channels_stay_last_whatever_keras_is_set_to() -> None:
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        graph = graph_of(SPACES["chain_cnn"](), 1)
        assert build_model(graph).count_params() == graph.params + graph.non_trainable_params
    finally:
        keras.config.set_image_data_format(before)
