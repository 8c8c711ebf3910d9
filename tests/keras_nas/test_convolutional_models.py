"""Mobile, residual and branching networks as Keras models, beside those that Keras has itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_nas import build_model, export_onnx, predict, train
from keras_nas.export import prove
from keras_nas.graph_of import graph_of
from optuna_nas import SearchSpace
from optuna_nas.spaces import branching_cnn, mobile_cnn, residual_cnn
from optuna_nas.spaces.mobile_layouts import Layout, Stage

TASK: dict[str, Any] = {"input_shape": (9, 8, 1), "classes": 3}
TINY = Layout(
    4,
    Stage(4, (1, 1), 1, squeeze_excite=True),
    (Stage(8, (1, 2), 2), Stage(8, (1, 1), 1)),
    head=2.0,
    dense=8,
    activation="hard_silu",
)
SMALL = [
    mobile_cnn(layout=TINY, expansions=(2, 3), **TASK),
    residual_cnn(max_blocks=2, widths=(2, 4), **TASK),
    branching_cnn(stages=2, max_blocks=1, widths=(2, 4), merges=("add", "concatenate"), **TASK),
]


@pytest.mark.slow
@pytest.mark.parametrize("space", SMALL, ids=lambda space: space.name)
@pytest.mark.parametrize("seed", range(3))
def test_draws_build_train_export_and_agree(space: SearchSpace, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    graph = space.graph(space.sample(rng))
    model = build_model(graph, seed=seed)
    assert model.count_params() == graph.params + graph.non_trainable_params
    x = rng.normal(size=(4, *graph.input_shape)).astype(np.float32)
    assert not train(model, x, np.array([0, 1, 2, 0]), epochs=1).diverged
    expected = np.asarray(model(x, training=False))
    np.testing.assert_allclose(predict(model, x), expected, rtol=1e-4, atol=1e-5)
    path = export_onnx(model, tmp_path / "model.onnx", method="graph")
    assert prove(model, path, x).passed
    assert graph_of(model).graph.canonical_id == graph.canonical_id


def trainable(model: Any, *, biases_of_convolutions: bool = True) -> int:
    count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    if not biases_of_convolutions:
        count -= sum(
            layer.filters
            for layer in model.layers
            if isinstance(layer, keras.layers.Conv2D) and layer.use_bias
        )
    return count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "make", "multiplier"),
    [
        ("mobilenet_v2", keras.applications.MobileNetV2, 0.75),
        ("mobilenet_v3_large", keras.applications.MobileNetV3Large, 0.75),
        ("mobilenet_v3_small", keras.applications.MobileNetV3Small, 1.0),
    ],
)
def test_mobile_networks_are_those_of_keras(layout: str, make: Any, multiplier: float) -> None:
    space = mobile_cnn(layout=layout, input_shape=(224, 224, 3), classes=1000)
    ((_, reference),) = space.references.items()
    graph = space.graph(space.genotype({**reference, "width_multiplier": multiplier}))
    network = make(input_shape=(224, 224, 3), alpha=multiplier, weights=None)
    assert graph.params == trainable(network)
    statistics = sum(int(np.prod(weight.shape)) for weight in network.non_trainable_weights)
    assert graph.non_trainable_params == statistics


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("ResNet-50", keras.applications.ResNet50),
        ("ResNet-50-V2", keras.applications.ResNet50V2),
    ],
)
def test_residual_networks_are_those_of_keras(name: str, make: Any) -> None:
    space = residual_cnn(max_blocks=6, input_shape=(224, 224, 3), classes=1000)
    graph = space.graph(space.references[name])
    # Keras gives convolutions biases in front of normalisations, where they have no effect.
    assert graph.params == trainable(make(weights=None), biases_of_convolutions=False)


@pytest.mark.slow
def test_a_network_of_real_size_has_as_many_parameters_in_keras() -> None:
    space = mobile_cnn(layout="mobilenet_v3_small", input_shape=(64, 64, 3), classes=1000)
    graph = space.graph(space.references["MobileNetV3-Small"])
    assert trainable(build_model(graph)) == graph.params == 2_542_856
