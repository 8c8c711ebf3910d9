from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_nas import build_model, export_onnx
from keras_nas._keras import keras
from keras_nas.export import prove
from keras_nas.graph_of import UnsupportedModelError, graph_of
from optuna_nas.spaces import chain_cnn, nas_bench_201, tabular_mlp

L = keras.layers


def stirred(model: Any) -> Any:
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.dtype == "float32":
            low = 0.3 if "variance" in variable.name else -1.0
            variable.assign(rng.uniform(low, 1.0, variable.shape))
    return model


def operations(model: Any) -> list[str]:
    return [layer.op for layer in graph_of(model).graph.layers]


def check(model: Any, tmp_path: Any, *, scale: float = 1.0) -> None:
    """Our writer's file agrees with the model."""
    stirred(model)
    path = export_onnx(model, tmp_path / "model.onnx", method="graph")
    x = np.random.default_rng(1).normal(0, scale, (8, *model.input_shape[1:]))
    proof = prove(model, path, x)
    assert proof.passed, proof


@pytest.mark.parametrize(
    "space",
    [
        nas_bench_201(input_shape=(8, 8, 1), cells=1),
        chain_cnn(input_shape=(13, 9, 2), classes=3),
        tabular_mlp(input_shape=(7,), classes=4),
    ],
    ids=lambda space: space.name,
)
def test_our_own_models_come_back(space, tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(5):
        graph = space.graph(space.sample(rng))
        model = build_model(graph, seed=0)
        again = graph_of(model)
        assert again.graph.canonical_id == graph.canonical_id
        assert again.preprocessing is None
        assert {w for layer in again.weights.values() for w in layer} <= {
            "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance",
        }  # fmt: skip
        check(model, tmp_path)


def test_a_sequential_model_written_by_hand(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((17, 12, 3)),
            L.Rescaling(1 / 255, offset=-0.5),
            L.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            L.BatchNormalization(center=False, scale=False),
            L.SeparableConv2D(6, (3, 2), depth_multiplier=2, activation="gelu"),
            L.DepthwiseConv2D(3, padding="same", depth_multiplier=3, activation="relu6"),
            L.SpatialDropout2D(0.3),
            L.ReLU(max_value=6.0),
            L.MaxPooling2D(),
            L.LeakyReLU(0.2),
            L.Flatten(),
            L.GaussianNoise(0.1),
            L.Dense(12, activation="swish"),
            L.LayerNormalization(scale=False),
            L.Dropout(0.5),
            L.Dense(5, activation="softmax"),
        ]
    )
    assert operations(model) == [
        "input", "conv2d", "activation", "batch_normalization",
        "conv2d", "conv2d", "activation",
        "conv2d", "activation", "activation", "max_pooling2d", "activation", "flatten",
        "dense", "activation", "layer_normalization", "dropout", "dense", "activation",
    ]  # fmt: skip
    check(model, tmp_path, scale=100.0)


def test_a_functional_model_with_branches_and_operators(tmp_path):
    inputs = keras.Input((8, 8, 4), name="Some Image")
    left = L.Conv2D(6, 1, use_bias=False, name="Left.Conv")(inputs)
    right = keras.ops.relu(L.Conv2D(6, 3, padding="same", groups=2)(inputs))
    merged = left + right
    gate = L.GlobalAveragePooling2D(keepdims=True)(merged)
    gate = L.Conv2D(6, 1, activation="sigmoid")(gate)
    merged = L.Concatenate()([merged * gate, left])
    merged = L.ELU()(L.AveragePooling2D(3, 2, padding="same")(merged))
    vector = L.Add()([L.GlobalMaxPooling2D()(merged), L.GlobalAveragePooling2D()(merged)])
    outputs = L.Softmax()(L.Dense(3)(L.Reshape((2, 6))(vector)))
    model = keras.Model(inputs, outputs)
    names = [layer.name for layer in graph_of(model).graph.layers]
    assert names[0] == "input"
    assert "left_conv" in names
    check(model, tmp_path)


def test_cropped_pixels_and_channels(tmp_path):
    inputs = keras.Input((6, 7, 4))
    value = L.Conv2D(3, 3)(L.Cropping2D(((1, 0), (0, 2)))(inputs))
    first = L.Cropping2D(((0, 0), (0, 1)), data_format="channels_first")(value)
    model = keras.Model(inputs, L.Flatten()(first))
    assert operations(model) == ["input", "cropping2d", "conv2d", "slice_channels", "flatten"]
    check(model, tmp_path)


def test_a_layer_used_twice_has_its_weights_twice(tmp_path):
    inputs = keras.Input((6,))
    shared = L.Dense(6, activation="tanh")
    model = keras.Model(inputs, shared(shared(inputs)))
    parts = graph_of(model)
    assert len(parts.weights) == 2
    check(model, tmp_path)


def test_models_used_as_layers_are_dissolved(tmp_path):
    inner = keras.Sequential([keras.Input((6,)), L.Dense(5, activation="relu"), L.Dense(6)])
    inputs = keras.Input((6,))
    middle = keras.Input((6,))
    outer = keras.Model(middle, middle + inner(middle))
    model = keras.Model(inputs, inner(outer(inputs)))
    assert operations(model).count("dense") == 4
    check(model, tmp_path)


def test_scaling_layers_at_the_start_are_preprocessing(tmp_path):
    normalization = L.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)))
    inputs = keras.Input((4,))
    value = normalization(L.Rescaling([1.0, 2.0, 0.5, -1.0], offset=[0.0, 1.0, 2.0, 3.0])(inputs))
    model = keras.Model(inputs, L.Dense(3)(value))
    parts = graph_of(model)
    assert operations(model) == ["input", "dense"]
    x = np.random.default_rng(1).normal(size=(5, 4))
    expected = keras.Model(inputs, value)(x)
    np.testing.assert_allclose(parts.preprocessing.apply(x), expected, atol=1e-5)
    path = export_onnx(model, tmp_path / "model.onnx", method="graph")
    assert prove(model, path, x).passed


def test_a_fixed_normalization(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            L.Normalization(mean=[1.0, 2.0], variance=[4.0, 0.0]),
            L.Conv2D(2, 3),
        ]
    )
    path = export_onnx(model, tmp_path / "model.onnx", method="graph")
    x = np.full((3, 4, 4, 2), [2.0, 2.0]) + np.random.default_rng(0).normal(0, 1e-6, (3, 4, 4, 2))
    assert prove(model, path, x).passed


def subclassed() -> Any:
    class Own(keras.Model):
        def call(self, x):
            return x

    model = Own()
    model(np.zeros((1, 3)))
    return model


def own_layer() -> Any:
    class Dense(L.Dense):  # the name of a known one
        def call(self, x):
            return -super().call(x)

    return keras.Sequential([keras.Input((3,)), Dense(2)])


def branched(function: Any, shape: tuple[int, ...] = (4,)) -> Any:
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


def two_inputs() -> Any:
    inputs = [keras.Input((3,)), keras.Input((3,))]
    return keras.Model(inputs, L.Add()(inputs))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (subclassed, "Own is neither Functional nor Sequential"),
        (own_layer, "Dense has no counterpart"),
        (two_inputs, "2 inputs and 1 outputs"),
        (lambda: keras.Sequential([L.Dense(2)]), "not built"),
        (lambda: branched(L.Conv2D(2, 3), (None, None, 3)), "free sizes"),
        (lambda: branched(L.UnitNormalization()), "UnitNormalization has no counterpart"),
        (lambda: branched(L.LeakyReLU(0.3)), "negative_slope=0.3"),
        (lambda: branched(L.ReLU(threshold=1.0)), "threshold=1.0"),
        (lambda: branched(L.ReLU(max_value=3.0)), "max_value=3.0"),
        (lambda: branched(L.ELU(0.5)), "alpha=0.5"),
        (lambda: branched(L.Dense(2, activation="hard_tanh")), "activation 'hard_tanh'"),
        (lambda: branched(lambda x: x + 1.0), "arithmetic with a constant"),
        (lambda: branched(L.BatchNormalization(axis=1), (4, 4, 2)), "axis=1"),
        (lambda: branched(L.LayerNormalization(axis=[1, 2]), (4, 4)), r"axis=\[1, 2\]"),
        (lambda: branched(lambda x: L.Concatenate(axis=1)([x, x]), (4, 4)), "axis=1"),
        (lambda: branched(lambda x: L.Rescaling(2.0)(L.Dense(3)(x))), "start of a model"),
        (lambda: branched(lambda x: L.Dense(4)(x) + L.Rescaling(2.0)(x)), "before it is scaled"),
        (lambda: branched(lambda x: L.Rescaling(2.0)(x) + L.Rescaling(3.0)(x)), "start of a"),
        (lambda: branched(lambda x: L.BatchNormalization()(x, training=True)), "training=True"),
        (lambda: branched(lambda x: L.Dense(4)(x) + L.Reshape((4, 1))(x)), "shape"),
        (
            lambda: branched(L.AveragePooling2D(2, data_format="channels_first"), (2, 4, 4)),
            "channels_first",
        ),
        (lambda: branched(L.Cropping2D(1, data_format="channels_first"), (2, 4, 4)), "channels_f"),
    ],
)
def test_what_graphs_can_not_express_is_named(model, message):
    with pytest.raises(UnsupportedModelError, match=message):
        graph_of(model())
