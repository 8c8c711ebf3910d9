"""Hypermodels of Keras Tuner as blocks of a declared space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_nas import build_model, export_onnx, hypermodel_block, train
from keras_nas._keras import keras
from keras_nas._keras_tuner import keras_tuner
from keras_nas.applications import EfficientNet
from keras_nas.blocks import registry
from optuna_nas import Choice, SearchSpace
from optuna_nas.errors import InfeasibleArchitectureError, OperationError, SpaceError
from optuna_nas.graph import operations
from optuna_nas.space import Node, conv, dense, flatten, global_average_pooling

applications = keras_tuner.applications
SHAPE = (8, 8, 1)


@pytest.fixture(autouse=True)
def _registries_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_OPERATIONS", dict(operations._OPERATIONS))
    monkeypatch.setattr(registry, "_OWN", dict(registry._OWN))


class Tower(keras_tuner.HyperModel):
    """Dense layers, a loop over them, a branch, a name scope, and a head of its own."""

    def build(self, hp: Any) -> Any:
        inputs = keras.Input(SHAPE)
        x = keras.layers.Flatten()(inputs)
        for i in range(hp.Int("depth", 1, 3)):
            with hp.name_scope(f"layer_{i}"):
                x = keras.layers.Dense(hp.Int("units", 4, 8, step=4), activation="relu")(x)
        if hp.Boolean("normalize"):
            x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation("linear", name="features")(x)
        x = keras.layers.Dense(10, activation="softmax")(x)
        model = keras.Model(inputs, x)
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        return model


def tower(name: str = "tower_of_tests", **arguments: Any) -> Node:
    return hypermodel_block(
        name, Tower(), output="features", exclude=["learning_rate"], **arguments
    )


def space_of(*body: Any, shape: tuple[int, ...] = SHAPE) -> SearchSpace:
    return SearchSpace("hypermodels", input_shape=shape, classes=10, body=list(body))


def test_its_decisions_are_the_hyperparameters_with_their_conditions() -> None:
    space = space_of(tower())
    assert space.size == (2 + 4 + 8) * 2
    assert set(space.distributions()) == {
        "depth",
        *(f"layer_{i}/units" for i in range(3)),
        "normalize",
    }
    params = {"depth": 1, "layer_0/units": 8, "normalize": False}
    assert space.genotype({**params, "layer_1/units": 4}).params == params


def test_keras_and_the_graph_agree_for_every_architecture() -> None:
    space = space_of(tower())
    first = space.genotype({"depth": 1, "layer_0/units": 4, "normalize": True})
    identities = set()
    for genotype in [first, *space.neighbors(first)]:
        graph = space.graph(genotype)
        model = build_model(graph)
        assert model.count_params() == graph.params + graph.non_trainable_params
        weights = sum(w.size for w in model.get_weights() if w.ndim == 2)
        assert graph.macs >= weights
        identities.add(graph.canonical_id)
    assert len(identities) == 1 + len(list(space.neighbors(first)))


def test_equal_choices_have_one_identity() -> None:
    space = space_of(Choice("side", {"a": [tower()], "b": [tower()], "own": [flatten()]}))
    params = {"depth": 1, "layer_0/units": 4, "normalize": True}
    a, b = (
        space.genotype({"side": side, **{f"side={side}/{k}": v for k, v in params.items()}})
        for side in "ab"
    )
    assert a != b
    assert space.identity(a) == space.identity(b)


def test_it_is_trained_and_exported_as_any_other(tmp_path: Path) -> None:
    space = space_of(tower(), dense(4))
    genotype = space.sample(np.random.default_rng(0))
    model = build_model(space.graph(genotype), seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.random((32, *SHAPE), dtype=np.float32), np.arange(32) % 10
    result = train(model, x, y, epochs=2)
    assert result.curve["loss"][1] < result.curve["loss"][0]
    runtime = pytest.importorskip("onnxruntime")
    path = export_onnx(model, tmp_path / "m.onnx")
    session = runtime.InferenceSession(str(path))
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, model(x, training=False), atol=1e-5)


def test_a_space_with_one_survives_json() -> None:
    space = space_of(tower())
    again = SearchSpace.from_json(space.to_json())
    genotype = space.sample(np.random.default_rng(1))
    assert again.graph(genotype).canonical_id == space.graph(genotype).canonical_id


def test_momentum_suits_short_trainings_unless_told_otherwise() -> None:
    def momenta(**arguments: Any) -> set[float]:
        space = space_of(tower(**arguments))
        params = {"depth": 1, "layer_0/units": 4, "normalize": True}
        model = build_model(space.graph(space.genotype(params)))
        found = (one for one in model._flatten_layers() if hasattr(one, "momentum"))
        return {one.momentum for one in found}

    assert momenta() == {0.9}
    assert momenta(name="as_it_is", momentum=None) == {0.99}


def test_a_function_of_hyperparameters_will_do() -> None:
    def build(hp: Any) -> Any:
        units = hp.Choice("units", [3, 5])
        return keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), dense_of(units)])

    def dense_of(units: int) -> Any:
        return keras.layers.Dense(units)

    space = space_of(hypermodel_block("function_of_tests", build))
    graph = space.graph(space.genotype({"units": 5}))
    assert graph.params == 64 * 5 + 5 + 5 * 10 + 10


def test_the_same_block_may_be_declared_again_and_another_may_not() -> None:
    assert space_of(tower()) == space_of(tower())
    with pytest.raises(OperationError, match="'tower_of_tests' exists already"):
        hypermodel_block("tower_of_tests", applications.HyperImageAugment(SHAPE, augment_layers=0))


def test_hyperparameters_that_hang_on_an_excluded_one_follow_its_default() -> None:
    def build(hp: Any) -> Any:
        if hp.Choice("kind", ["a", "b"]) == "a":
            hp.Int("of_a", 1, 2)
        else:
            hp.Int("of_b", 1, 2)
        return keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])

    space = space_of(hypermodel_block("excluding_of_tests", build, exclude=["kind"]))
    assert set(space.distributions()) == {"of_a"}
    assert space.graph(space.genotype({"of_a": 2}))


def test_arguments_are_checked() -> None:
    with pytest.raises(OperationError, match="HyperModel or a function build"):
        hypermodel_block("n", 3)
    with pytest.raises(OperationError, match=r"exclude names 'units'.*learning_rate"):
        hypermodel_block("n", Tower(), exclude=["units"])
    space = space_of(hypermodel_block("n", Tower(), output="top"))
    genotype = space.genotype({n: d.low for n, d in _numbers(space).items()} | {"normalize": True})
    with pytest.raises(OperationError, match=r"output must be a layer.*'top'.*features"):
        space.graph(genotype)


def _numbers(space: SearchSpace) -> dict[str, Any]:
    return {n: d for n, d in space.distributions().items() if hasattr(d, "low")}


def test_another_input_is_an_infeasible_architecture() -> None:
    space = space_of(tower(), shape=(9, 8, 1))
    params = {"depth": 1, "layer_0/units": 4, "normalize": False}
    with pytest.raises(InfeasibleArchitectureError, match=r"\(8, 8, 1\).*\(9, 8, 1\) comes in"):
        space.graph(space.genotype(params))


def test_a_hyperparameter_that_was_not_found_is_an_error() -> None:
    def build(hp: Any) -> Any:
        # Unusual values of two that do not depend on each other.
        if [hp.Boolean("a"), hp.Choice("b", ["x", "y", "z"])] == [True, "z"]:
            hp.Int("hidden", 1, 3)
        return keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])

    space = space_of(hypermodel_block("hiding_of_tests", build))
    assert set(space.distributions()) == {"a", "b"}
    assert space.graph(space.genotype({"a": True, "b": "y"}))
    with pytest.raises(OperationError, match=r"'hidden'.*conditional_scope"):
        space.graph(space.genotype({"a": True, "b": "z"}))


def test_a_model_of_several_outputs_needs_one_named() -> None:
    def build(hp: Any) -> Any:
        inputs = keras.Input(SHAPE)
        flat = keras.layers.Flatten()(inputs)
        return keras.Model(inputs, [flat, keras.layers.Dense(hp.Int("units", 1, 2))(flat)])

    space = space_of(hypermodel_block("several_of_tests", build))
    with pytest.raises(OperationError, match="2 outputs"):
        space.graph(space.genotype({"units": 1}))


# --- Keras Tuner's own ---------------------------------------------------------------------------


def test_augmentation_changes_images_in_training_alone(tmp_path: Path) -> None:
    hypermodel = applications.HyperImageAugment(SHAPE, augment_layers=0)
    block = hypermodel_block("augment_of_tests", hypermodel)
    space = space_of(block, conv(4), global_average_pooling())
    assert len(space.distributions()) == 4
    genotype = space.genotype({n: d.high for n, d in space.distributions().items()})
    graph = space.graph(genotype)
    plain = space_of(conv(4), global_average_pooling())
    assert graph.params == plain.graph(plain.sample(np.random.default_rng(0))).params
    model = build_model(graph)
    x = np.random.default_rng(0).random((8, *SHAPE), dtype=np.float32)
    assert not np.allclose(model(x, training=True), model(x, training=True))
    assert train(model, x, np.arange(8), epochs=1).epochs_run == 1
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(export_onnx(model, tmp_path / "m.onnx")))
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, model(x, training=False), atol=1e-5)


def test_rand_augment_is_refused_with_what_to_do() -> None:
    with pytest.raises(SpaceError, match=r"RandAugment.*augment_layers=0"):
        hypermodel_block("rand_of_tests", applications.HyperImageAugment(SHAPE, augment_layers=2))


@pytest.mark.slow
def test_xception_is_a_space() -> None:
    hypermodel = applications.HyperXception(include_top=False, input_shape=(16, 16, 1))
    space = space_of(hypermodel_block("xception_of_tests", hypermodel), shape=(16, 16, 1))
    assert space.size == 2 * 3 * 2 * 6 * 7 * 3
    values = {"activation": "selu", "conv2d_num_filters": 32, "kernel_size": 3}
    values |= {"sep_num_filters": 128, "num_residual_blocks": 2, "pooling": "max"}
    graph = space.graph(space.genotype(values))
    hp = keras_tuner.HyperParameters()
    hp.values = values
    own = hypermodel.build(hp)
    head = 256 * 10 + 10
    assert graph.params == sum(np.prod(w.shape) for w in own.trainable_weights) + head


@pytest.mark.slow
def test_efficient_net_needs_no_download() -> None:
    hypermodel = EfficientNet((32, 32, 3), ("B0",), image_size=32)
    space = space_of(hypermodel_block("efficient_of_tests", hypermodel), shape=(32, 32, 3))
    assert set(space.distributions()) == {"pooling", "top_dropout_rate"}
    graph = space.graph(space.genotype({"pooling": "max", "top_dropout_rate": 0.4}))
    own = keras.applications.efficientnet.EfficientNetB0(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    head = 1280 * 10 + 10
    assert graph.params == sum(np.prod(w.shape) for w in own.trainable_weights) + head
    with pytest.raises(OperationError, match="versions"):
        EfficientNet((32, 32, 3), ("B9",))
