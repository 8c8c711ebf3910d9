"""Training: the compiled step computes what Keras computes, and leaves nothing behind."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import weakref
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_nas import (
    _tensorflow_layers,
    build_model,
    evaluate,
    predict,
    register_block,
    train,
    training,
)
from keras_nas._runner import KerasRunner, OptimizerSettings
from keras_nas._tensorflow import TensorFlowRunner
from keras_nas._tensorflow_layers import forward_of
from keras_nas.blocks import registry
from optuna_nas.errors import DataError
from optuna_nas.graph import ArchitectureGraph, GraphBuilder, operations

SHAPE, CLASSES = (6, 6, 2), 3


@pytest.fixture(autouse=True)
def _registries_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_OPERATIONS", dict(operations._OPERATIONS))
    monkeypatch.setattr(registry, "_OWN", dict(registry._OWN))


def task(count: int, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> tuple[Any, Any]:
    """Examples that differ in their mean from class to class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, count)
    x = rng.normal(size=(count, *shape)) + 2 * y.reshape(-1, *[1] * len(shape))
    return x.astype("float32"), y


def every_operation() -> ArchitectureGraph:
    """A network with all operations that are deterministic in training."""
    b = GraphBuilder(SHAPE)
    x = b.add("zero_padding2d", {"padding": ((1, 1), (0, 0))}, ["input"])
    x = b.add("conv2d", {"filters": 4, "kernel_size": 3, "padding": "valid"}, [x])
    x = b.add("conv2d", {"filters": 4, "kernel_size": 3, "groups": 2}, [x])
    x = b.add("batch_normalization", {}, [x])
    branches = [
        b.add("activation", {"function": "relu"}, [x]),
        b.add("activation", {"function": "hard_silu"}, [x]),
        b.add("depthwise_conv2d", {"kernel_size": 3, "use_bias": True}, [x]),
        b.add("depthwise_conv2d", {"kernel_size": 3, "dilation_rate": 2}, [x]),
        b.add("max_pooling2d", {"pool_size": 3}, [x]),
        b.add("average_pooling2d", {"pool_size": 3}, [x]),
        b.add("zero", {}, [x]),
        b.add("identity", {}, [x]),
        b.add("layer_normalization", {}, [x]),
    ]
    x = b.add("concatenate", {}, [b.add("add", {}, branches), branches[1]])
    x = b.add("cropping2d", {"cropping": ((1, 0), (0, 1))}, [x])
    x = b.add("slice_channels", {"channels": 6}, [x])
    x = b.add("conv2d", {"filters": 4, "kernel_size": 1, "strides": 2, "use_bias": True}, [x])
    pooled = b.add("global_average_pooling2d", {}, [x])
    gate = b.add("dense", {"units": 4}, [b.add("global_max_pooling2d", {}, [x])])
    gate = b.add("reshape", {"target_shape": (1, 1, 4)}, [gate])
    x = b.add("dense", {"units": 3}, [b.add("multiply", {}, [x, gate])])
    x = b.add("concatenate", {}, [b.add("flatten", {}, [x]), pooled])
    x = b.add("batch_normalization", {}, [x])
    return b.graph(b.add("dense", {"units": CLASSES}, [x], name="logits"))


def small(dropout: float = 0.0) -> ArchitectureGraph:
    b = GraphBuilder(SHAPE)
    x = b.add("conv2d", {"filters": 4, "kernel_size": 3}, ["input"])
    x = b.add("batch_normalization", {}, [x])
    x = b.add("activation", {"function": "relu"}, [x])
    if dropout:
        x = b.add("dropout", {"rate": dropout}, [x])
    x = b.add("global_average_pooling2d", {}, [x])
    return b.graph(b.add("dense", {"units": CLASSES}, [x], name="logits"))


def every_operation_on_sequences() -> ArchitectureGraph:
    b = GraphBuilder((9,))
    x = b.add("embedding", {"input_dim": 5, "output_dim": 6}, ["input"])
    x = b.add("position_embedding", {}, [x])
    for attributes in ({"padding": "causal", "dilation_rate": 2}, {"strides": 1, "use_bias": True}):
        x = b.add("conv1d", {"filters": 4, "kernel_size": 3, **attributes}, [x])
        x = b.add("batch_normalization", {"momentum": 0.8}, [x])
    pools = [b.add(f"{kind}_pooling1d", {"pool_size": 2}, [x]) for kind in ("max", "average")]
    x = b.add("add", {}, [x, *pools, b.add("multi_head_attention", _HEADS, [x])])
    x = b.add("max_pooling1d", {"pool_size": 3, "strides": 2, "padding": "valid"}, [x])
    x = b.add("class_token", {}, [b.add("cropping1d", {"cropping": (0, 1)}, [x])])
    states = {"units": 3, "return_sequences": True, "bidirectional": True}
    x = b.add("darts_rnn", {"units": 4, "cell": (("relu", 0), ("linear", 1), ("tanh", 0))}, [x])
    x = b.add("gru", states, [b.add("layer_normalization", {}, [x])])
    vectors = [
        b.add("lstm", {"units": 3}, [x]),
        b.add("additive_attention_pooling", {"units": 3}, [x]),
        b.add("multiplicative_attention_pooling", {}, [x]),
        b.add("global_average_pooling1d", {}, [x]),
        b.add("global_max_pooling1d", {}, [x]),
    ]
    return b.graph(b.add("dense", {"units": CLASSES}, [b.add("concatenate", {}, vectors)]))


_HEADS = {"num_heads": 2, "key_dim": 3}


def shaken(model: Any) -> Any:
    """The model with vectors that hide nothing: no bias of zero, no scale or variance of one."""
    rng = np.random.default_rng(0)
    model.set_weights(
        [w + rng.uniform(0.1, 0.3, w.shape) * (w.ndim == 1) for w in model.get_weights()]
    )
    return model


# --- the compiled step against Keras -------------------------------------------------------------


@pytest.mark.parametrize("groups_have_gradients", [True, False])
def test_direct_forward_equals_keras(
    monkeypatch: pytest.MonkeyPatch, groups_have_gradients: bool
) -> None:
    monkeypatch.setattr(_tensorflow_layers, "_groups_have_gradients", lambda: groups_have_gradients)
    check_forward(every_operation(), task(8)[0])


def test_direct_forward_equals_keras_on_sequences() -> None:
    words = np.random.default_rng(0).integers(0, 5, (8, 9)).astype(np.float32)
    check_forward(every_operation_on_sequences(), words)


def check_forward(graph: ArchitectureGraph, examples: np.ndarray) -> None:
    model = shaken(build_model(graph, seed=0))
    x = tf.constant(examples)
    direct = forward_of(model)
    np.testing.assert_allclose(direct(x, None)[0], model(x, training=False), rtol=1e-4, atol=1e-4)

    weights = model.get_weights()
    no_floor = tf.constant(0.0)
    logits = direct(x, no_floor)[0].numpy()
    moved = model.get_weights()
    model.set_weights(weights)
    np.testing.assert_allclose(logits, model(x, training=True), rtol=1e-4, atol=1e-4)
    for ours, keras_own in zip(moved, model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=1e-4, atol=1e-5)


def test_statistics_begin_as_plain_averages() -> None:
    model = build_model(small(), seed=0)
    direct = forward_of(model)
    batches = np.split(task(32)[0], 4)
    normalisation = model.get_layer("batch_normalization")
    for number, batch in enumerate(batches, start=1):
        direct(tf.constant(batch), tf.constant(1 / number))
    convolved = [np.asarray(model.get_layer("conv2d")(batch)) for batch in batches]
    mean = np.mean([c.mean((0, 1, 2)) for c in convolved], 0)
    variance = np.mean([c.var((0, 1, 2)) for c in convolved], 0)
    np.testing.assert_allclose(normalisation.moving_mean, mean, atol=1e-5)
    np.testing.assert_allclose(normalisation.moving_variance, variance, rtol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        OptimizerSettings(learning_rate=0.01),
        OptimizerSettings(learning_rate=0.01, weight_decay=0.1, label_smoothing=0.1),
        OptimizerSettings("sgd", 0.05, "constant", weight_decay=0.01),
        OptimizerSettings("sgd", 0.05, momentum=0.0),
    ],
    ids=["adam", "adamw", "nesterov", "descent"],
)
def test_steps_equal_keras(settings: OptimizerSettings) -> None:
    x, y = task(40)
    batches = np.random.default_rng(0).integers(0, 40, (5, 8))
    graph = small()
    ours, theirs = build_model(graph, seed=0), build_model(graph, seed=0)
    losses = []
    for runner in (TensorFlowRunner(ours), KerasRunner(theirs)):
        runner.prepare(settings, 8, 10)
        held = runner.hold(x, y)
        losses.append([runner.epoch(*held, batches) for _ in range(2)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    pairs = zip(ours.trainable_weights, theirs.trainable_weights, strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_grouped_convolutions_train() -> None:
    b = GraphBuilder(SHAPE)
    x = b.add("conv2d", {"filters": 4, "kernel_size": 3, "groups": 2}, ["input"])
    x = b.add("global_average_pooling2d", {}, [x])
    model = build_model(b.graph(b.add("dense", {"units": CLASSES}, [x])), seed=0)
    before = model.get_layer("conv2d").get_weights()[0]
    train(model, *task(20), epochs=1)
    assert not np.allclose(before, model.get_layer("conv2d").get_weights()[0])


@pytest.mark.parametrize("runner", [TensorFlowRunner, KerasRunner])
@pytest.mark.parametrize("count", [1, 7, 12, 13])
def test_scores_are_exact_for_any_count(runner: Any, count: int) -> None:
    model = shaken(build_model(small(), seed=0))
    x, y = task(count)
    logits = np.asarray(model(x), np.float64)
    log_sum = np.log(np.exp(logits).sum(1))
    expected = (log_sum - logits[np.arange(count), y]).mean(), (logits.argmax(1) == y).mean()
    run = runner(model)
    np.testing.assert_allclose(run.score(*run.hold(x, y), 6), expected, rtol=1e-5)
    np.testing.assert_allclose(run.predict(x, 6), logits, atol=1e-5)


def test_layers_own_losses_count() -> None:
    @register_block("decayed")
    def decayed(strength: float) -> Any:
        return keras.layers.Dense(CLASSES, kernel_regularizer=keras.regularizers.L2(strength))

    x, y = task(16, (4,))
    losses = {}
    for strength in (0.0, 1.0):
        b = GraphBuilder((4,))
        model = build_model(b.graph(b.add("decayed", {"strength": strength}, ["input"])), seed=0)
        kernel = model.weights[0].numpy()
        losses[strength] = train(model, x, y, epochs=1, batch_size=16, learning_rate=1e-6).curve[
            "loss"
        ][0]
    assert losses[1.0] - losses[0.0] == pytest.approx((kernel**2).sum(), rel=1e-4)


# --- train ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("runner", [None, KerasRunner])
def test_learns(monkeypatch: pytest.MonkeyPatch, runner: Any) -> None:
    if runner is not None:  # as on a backend without a step of its own
        monkeypatch.setattr(training, "_new_runner", runner)
    x, y = task(150)
    x_val, y_val = task(61, seed=1)
    model = build_model(small(dropout=0.1), seed=0)
    seen: list[tuple[int, Mapping[str, float]]] = []
    result = train(
        model,
        x,
        y,
        x_val=x_val,
        y_val=y_val,
        epochs=6,
        batch_size=16,
        learning_rate=0.05,
        on_epoch_end=lambda epoch, metrics: seen.append((epoch, metrics)),
    )
    assert result.curve["val_accuracy"][-1] > 0.9
    assert (result.stopped_by, result.epochs_run) == ("budget", 6)
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert all(len(values) == 6 for values in result.curve.values())
    assert set(result.curve) == {"accuracy", "val_accuracy", "loss", "val_loss"} == set(seen[0][1])
    final = result.curve["val_loss"][-1], result.curve["val_accuracy"][-1]
    assert evaluate(model, x_val, y_val) == pytest.approx(final, rel=1e-5)
    assert (predict(model, x_val).argmax(1) == y_val).mean() == pytest.approx(final[1])


def test_the_first_epoch_is_validated_fairly() -> None:
    """Moving statistics that start at 0 and 1 would leave the first epochs at chance."""
    x, y = task(160)
    model = build_model(small(), seed=0)
    # Hardly any learning: training and validation see the same network.
    curve = train(model, x, y, x_val=x, y_val=y, epochs=1, batch_size=32, learning_rate=1e-6).curve
    assert curve["val_loss"][0] == pytest.approx(curve["loss"][0], rel=0.05)


def test_same_seed_same_curve() -> None:
    x, y = task(50)

    def curve(seed: int) -> Any:
        model = build_model(small(dropout=0.3), seed=1)
        return train(model, x, y, x_val=x, y_val=y, epochs=2, batch_size=16, seed=seed).curve

    assert curve(0) == curve(0)
    assert curve(0)["loss"] != curve(1)["loss"]


def test_patience_returns_to_the_best_weights() -> None:
    x, y = task(40)
    noise = np.random.default_rng(0).integers(0, CLASSES, 40)
    model = build_model(small(), seed=0)
    result = train(
        model,
        x,
        noise,
        x_val=x,
        y_val=y,
        epochs=30,
        batch_size=8,
        learning_rate=0.05,
        patience=2,
    )
    values = result.curve["val_accuracy"]
    assert result.stopped_by == "patience"
    assert result.epochs_run == result.best_epoch + 2 == len(values)
    assert values[result.best_epoch - 1] == max(values)
    assert evaluate(model, x, y)[1] == pytest.approx(max(values))


def test_a_callback_stops() -> None:
    x, y = task(20)
    model = build_model(small())
    result = train(model, x, y, epochs=9, on_epoch_end=lambda epoch, _: epoch == 2)
    assert (result.stopped_by, result.epochs_run, len(result.curve["loss"])) == ("callback", 2, 2)
    assert set(result.curve) == {"loss", "accuracy"}


def test_divergence_is_told_and_leaves_a_finite_curve() -> None:
    x, y = task(20)
    b = GraphBuilder(SHAPE)
    hidden = b.add("dense", {"units": 50}, [b.add("flatten", {}, ["input"])])
    model = build_model(b.graph(b.add("dense", {"units": CLASSES}, [hidden])), seed=0)
    result = train(model, x, y, epochs=50, optimizer="sgd", learning_rate=1e6, batch_size=5)
    assert result.diverged
    assert result.stopped_by == "diverged"
    assert len(result.curve["loss"]) == result.epochs_run < 50
    assert all(map(math.isfinite, result.curve["loss"]))


def test_branches_that_cannot_matter_are_not_trained() -> None:
    b = GraphBuilder((4,))
    dead = b.add("zero", {}, [b.add("dense", {"units": 4}, ["input"], name="dead")])
    live = b.add("dense", {"units": 4}, ["input"], name="live")
    x = b.add("add", {}, [dead, live])
    model = build_model(b.graph(b.add("dense", {"units": CLASSES}, [x], name="logits")), seed=0)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    train(model, *task(20, (4,)), epochs=1)
    assert np.array_equal(before["dead"][0], model.get_layer("dead").get_weights()[0])
    assert not np.array_equal(before["live"][0], model.get_layer("live").get_weights()[0])


def test_models_without_a_graph_train_too() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization(momentum=0.5)(x))
    model = keras.Model(inputs, keras.layers.Dense(CLASSES)(x))
    x_train, y_train = task(150)
    result = train(
        model,
        x_train,
        y_train,
        x_val=x_train,
        y_val=y_train,
        epochs=8,
        batch_size=16,
        learning_rate=0.05,
    )
    assert result.curve["val_accuracy"][-1] > 0.9


def test_frozen_layers_stay_frozen() -> None:
    model = build_model(small(), seed=0)
    model.get_layer("conv2d").trainable = False
    before = model.get_layer("conv2d").get_weights()[0]
    train(model, *task(20), epochs=1)
    assert np.array_equal(before, model.get_layer("conv2d").get_weights()[0])


def test_reduced_precision_trains() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model(small(), seed=0)
        x, y = task(40)
        result = train(model, x, y, x_val=x, y_val=y, epochs=1)
    finally:
        keras.config.set_dtype_policy("float32")
    assert result.stopped_by == "budget"


@given(count=st.integers(1, 60), size=st.integers(1, 60), seed=st.integers(0, 3))
def test_an_epoch_holds_every_example(count: int, size: int, seed: int) -> None:
    size = min(size, count)
    batches = training._batches(count, size, np.random.default_rng(seed))
    assert batches.shape == (-(-count // size), size)
    assert set(batches.ravel()) == set(range(count))
    assert len(set(batches[-1])) == size  # what fills the last batch is not in it already


# --- what training leaves behind -----------------------------------------------------------------


def test_nothing_outlives_a_model() -> None:
    x, y = task(20)
    model = build_model(small())
    train(model, x, y, x_val=x, y_val=y, epochs=1)
    evaluate(model, x, y)
    dead = weakref.ref(model), weakref.ref(model.get_layer("conv2d"))
    del model
    gc.collect()
    assert [reference() for reference in dead] == [None, None]


def test_the_process_keeps_its_graph_optimiser() -> None:
    train(build_model(small()), *task(20), epochs=1)
    options = tf.config.optimizer.get_experimental_options()
    assert not options.get("disable_meta_optimizer", False)


def test_importing_is_cheap_and_quiet() -> None:
    script = (
        "import sys, keras_nas\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
        "assert 'train' in dir(keras_nas)\n"
        "keras_nas.build_model\n"
        "assert 'tensorflow' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr == ""


def test_unknown_names_are_attribute_errors() -> None:
    import keras_nas

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = keras_nas.nothing


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": np.zeros((4, 5, 5, 2))}, r"x_train must have the shape.*\(4, 5, 5, 2\)"),
        ({"x_train": np.zeros((0, *SHAPE))}, "at least one example"),
        ({"y_train": np.zeros(3)}, r"y_train must have one class.*\(3,\)"),
        ({"y_train": np.full(20, CLASSES)}, "from 0 to 2.*got 3"),
        ({"y_train": np.full(20, -1)}, "from 0 to 2.*got -1"),
        ({"x_val": np.zeros((4, 3)), "y_val": np.zeros(4)}, "x_val must have the shape"),
    ],
)
def test_unfit_data(change: dict[str, Any], message: str) -> None:
    x, y = task(20)
    arguments: dict[str, Any] = {"x_train": x, "y_train": y, "epochs": 1, **change}
    with pytest.raises(DataError, match=message):
        train(build_model(small()), **arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": 0}, "learning_rate must be above 0, got 0"),
        ({"optimizer": "lion"}, "'adam' or 'sgd', got 'lion'"),
        ({"schedule": "steps"}, "'cosine' or 'constant', got 'steps'"),
        ({"patience": 1}, "needs x_val"),
    ],
)
def test_senseless_options(change: dict[str, Any], message: str) -> None:
    x, y = task(20)
    arguments: dict[str, Any] = {"epochs": 1, **change}
    with pytest.raises(ValueError, match=message):
        train(build_model(small()), x, y, **arguments)
