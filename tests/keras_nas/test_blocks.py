"""The registry of blocks: Keras agrees with the graph, and a user's block joins by itself."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_nas import build_model, register_block
from keras_nas.blocks import registry
from keras_nas.blocks.layers import BUILDERS
from optuna_nas.errors import InfeasibleArchitectureError, OperationError
from optuna_nas.graph import ArchitectureGraph, GraphBuilder, get_operation, operations
from optuna_nas.graph.operations import ACTIVATIONS
from optuna_nas.space import Choice, SearchSpace, global_average_pooling, layer

IMAGE = (7, 6, 4)

CASES: list[tuple[str, dict[str, Any]]] = [
    ("conv2d", {"filters": 6, "kernel_size": 3, "use_bias": True}),
    ("conv2d", {"filters": 6, "kernel_size": (1, 3), "strides": (2, 1), "padding": "valid"}),
    ("conv2d", {"filters": 6, "kernel_size": 3, "dilation_rate": 2}),
    ("conv2d", {"filters": 6, "kernel_size": 3, "groups": 2, "use_bias": True}),
    ("depthwise_conv2d", {"kernel_size": 3, "strides": 2}),
    ("depthwise_conv2d", {"kernel_size": 3, "dilation_rate": 2, "use_bias": True}),
    ("dense", {"units": 5}),
    ("dense", {"units": 5, "use_bias": False}),
    ("batch_normalization", {}),
    ("layer_normalization", {}),
    ("max_pooling2d", {"pool_size": 2, "strides": 2}),
    ("max_pooling2d", {"pool_size": 3, "strides": 1, "padding": "valid"}),
    ("average_pooling2d", {"pool_size": 3}),
    ("average_pooling2d", {"pool_size": 2, "strides": (2, 1), "padding": "valid"}),
    ("global_average_pooling2d", {}),
    ("global_max_pooling2d", {}),
    ("flatten", {}),
    ("reshape", {"target_shape": (6, 28)}),
    ("zero_padding2d", {"padding": ((1, 0), (2, 1))}),
    ("cropping2d", {"cropping": ((1, 0), (2, 1))}),
    ("slice_channels", {"channels": 3}),
    ("dropout", {"rate": 0.3}),
    ("identity", {}),
    ("zero", {}),
    *[("activation", {"function": function}) for function in sorted(ACTIVATIONS)],
]


@pytest.fixture(autouse=True)
def _registries_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_OPERATIONS", dict(operations._OPERATIONS))
    monkeypatch.setattr(registry, "_OWN", dict(registry._OWN))


def one_layer(op: str, /, shape: tuple[int, ...] = IMAGE, **attributes: Any) -> ArchitectureGraph:
    builder = GraphBuilder(shape)
    return builder.graph(builder.add(op, attributes, ["input"], name="it"))


@pytest.mark.parametrize(("op", "attributes"), CASES)
def test_keras_agrees_with_the_graph(op: str, attributes: dict[str, Any]) -> None:
    graph = one_layer(op, **attributes)
    model = build_model(graph)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert model.output_shape[1:] == graph.output_shape
    assert trainable == graph.params
    assert model.count_params() == graph.params + graph.non_trainable_params
    assert model.get_layer("it").name == "it"


def test_every_operation_of_the_graph_has_a_layer() -> None:
    known = set(operations.operation_names()) - {"input"}
    assert known - set(registry._OWN) == set(BUILDERS)


@pytest.mark.parametrize("op", ["add", "multiply", "concatenate"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_merges_take_any_number_of_inputs(op: str, count: int) -> None:
    builder = GraphBuilder(IMAGE)
    branches = [
        builder.add("activation", {"function": function}, ["input"])
        for function in ("relu", "tanh", "silu")[:count]
    ]
    graph = builder.graph(builder.add(op, {}, branches))
    assert build_model(graph).output_shape[1:] == graph.output_shape


def test_multiply_broadcasts_a_gate() -> None:
    builder = GraphBuilder(IMAGE)
    pooled = builder.add("global_average_pooling2d", {}, ["input"])
    gate = builder.add("reshape", {"target_shape": (1, 1, 4)}, [pooled])
    graph = builder.graph(builder.add("multiply", {}, ["input", gate]))
    x = np.random.default_rng(0).normal(size=(2, *IMAGE)).astype("float32")
    expected = x * x.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(build_model(graph)(x), expected, rtol=1e-5)


def test_zero_gives_zeros() -> None:
    assert not np.any(build_model(one_layer("zero"))(np.ones((2, *IMAGE), "float32")))


def test_numpy_numbers_are_taken() -> None:
    graph = one_layer("conv2d", filters=np.int64(3), kernel_size=(np.int64(3), np.int64(3)))
    assert build_model(graph).output_shape == (None, 7, 6, 3)


def test_unknown_operation_says_how_to_register() -> None:
    operations.register_operation(operations.Operation("lonely", lambda a, i: i[0]))
    with pytest.raises(OperationError, match=r"'it'.*'lonely'.*register_block"):
        build_model(one_layer("lonely"))


# --- blocks of a user's own ----------------------------------------------------------------------


def squeeze_excite(ratio: int = 2) -> Any:
    def apply(x: Any) -> Any:
        channels = x.shape[-1]
        gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        gate = keras.layers.Dense(channels // ratio, activation="relu")(gate)
        gate = keras.layers.Dense(channels, activation="sigmoid")(gate)
        return keras.layers.Multiply()([x, gate])

    return apply


def test_a_function_of_tensors_becomes_one_layer() -> None:
    register_block("squeeze_excite", squeeze_excite)
    graph = one_layer("squeeze_excite", ratio=4)
    assert graph.output_shape == IMAGE
    assert graph.params == (4 * 1 + 1) + (1 * 4 + 4)
    assert graph.macs == (4 * 1 + 1) + (1 * 4 + 4)
    model = build_model(graph)
    assert model.count_params() == graph.params
    assert isinstance(model.get_layer("it"), keras.Model)


def test_a_block_serves_in_a_space() -> None:
    @register_block("wide_conv")
    def wide_conv(filters: int, kernel: int = 3) -> Any:
        return keras.layers.Conv2D(filters, kernel, padding="same")

    space = SearchSpace(
        "own",
        input_shape=IMAGE,
        classes=3,
        body=[layer("wide_conv", filters=5), global_average_pooling()],
    )
    graph = space.graph(space.sample(np.random.default_rng(0)))
    model = build_model(graph)
    assert model.count_params() == graph.params == (3 * 3 * 4 + 1) * 5 + (5 + 1) * 3
    spec = next(spec for spec in graph.layers if spec.op == "wide_conv")
    assert spec.attributes == {"filters": 5, "kernel": 3}


class Scaled(keras.layers.Layer):
    """A layer that multiplies matrices by hand, and does not say it trains."""

    def build(self, input_shape: Any) -> None:
        self.matrix = self.add_weight(shape=(input_shape[-1], 3), name="matrix")

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.matrix)


def test_hand_made_products_ask_for_macs() -> None:
    register_block("scaled", lambda: Scaled())
    graph = one_layer("scaled")
    assert (graph.output_shape, graph.params) == ((7, 6, 3), 12)
    with pytest.raises(OperationError, match=r"'scaled'.*Scaled.*macs="):
        _ = graph.macs


def test_given_rules_win() -> None:
    register_block("counted", lambda: Scaled(), macs=lambda a, i: i[0][0] * i[0][1] * 12)
    assert one_layer("counted").macs == 7 * 6 * 12


def test_rules_that_disagree_with_keras_name_the_layer() -> None:
    register_block("wrong_count", lambda: Scaled(), params=lambda a, i: 1)
    with pytest.raises(OperationError, match=r"'it'.*12 trainable.*params="):
        build_model(one_layer("wrong_count"))
    register_block("wrong_shape", lambda: Scaled(), output_shape=lambda a, i: (1, 2, 3))
    with pytest.raises(InfeasibleArchitectureError, match=r"'it'.*\(7, 6, 3\).*\(1, 2, 3\)"):
        build_model(one_layer("wrong_shape"))


@pytest.mark.parametrize(
    ("make", "shape", "macs"),
    [
        (lambda: keras.layers.Conv2D(5, 3, strides=2, padding="same"), (8, 8, 2), 16 * 5 * 19),
        (lambda: keras.layers.SeparableConv2D(5, 3, padding="same"), (8, 8, 2), 64 * (18 + 10 + 5)),
        (lambda: keras.layers.DepthwiseConv2D(3, use_bias=False), (8, 8, 2), 36 * 18),
        (lambda: keras.layers.Conv2DTranspose(3, 2, strides=2), (4, 4, 2), 16 * 24 + 64 * 3),
        (lambda: keras.layers.Dense(5), (3, 4), 3 * 5 * 5),
        (lambda: keras.layers.EinsumDense("abc,cd->abd", (None, 6)), (3, 4), 3 * 4 * 6),
        (lambda: keras.layers.LSTM(4), (5, 3), 5 * 4 * 4 * (3 + 4 + 1)),
        (lambda: keras.layers.BatchNormalization(), (8, 8, 2), 0),
    ],
)
def test_macs_of_keras_layers(make: Any, shape: tuple[int, ...], macs: int) -> None:
    register_block("own", make)
    assert one_layer("own", shape).macs == macs


def test_macs_of_attention() -> None:
    tokens, width, heads, size = 5, 6, 2, 3

    @register_block("attend")
    def attend() -> Any:
        return lambda x: keras.layers.MultiHeadAttention(heads, size)(x, x)

    projections = 3 * tokens * heads * size * (width + 1) + tokens * width * (heads * size + 1)
    assert one_layer("attend", (tokens, width)).macs == projections + 2 * heads * tokens**2 * size


def test_non_trainable_weights_are_counted() -> None:
    register_block("normed", lambda: keras.layers.BatchNormalization())
    graph = one_layer("normed")
    assert (graph.params, graph.non_trainable_params) == (8, 8)


def test_a_block_is_built_once_for_its_counts() -> None:
    made = []

    @register_block("watched")
    def watched(filters: int) -> Any:
        made.append(filters)
        return keras.layers.Conv2D(filters, 1)

    graph = one_layer("watched", filters=3)
    assert (graph.params, graph.macs) == (15, 42 * 15)
    assert one_layer("watched", filters=3).macs == graph.macs
    assert made == [3]


def test_several_inputs_come_as_a_list() -> None:
    register_block("weigh", lambda: lambda xs: keras.layers.Subtract()(xs))
    builder = GraphBuilder(IMAGE)
    relu = builder.add("activation", {"function": "relu"}, ["input"])
    graph = builder.graph(builder.add("weigh", {}, ["input", relu]))
    x = -np.ones((1, *IMAGE), "float32")
    np.testing.assert_array_equal(build_model(graph)(x), x)


def test_names_are_taken_once() -> None:
    register_block("mine", squeeze_excite)
    register_block("mine", squeeze_excite)  # the same function, as when a script is imported again
    with pytest.raises(OperationError, match=r"'mine' exists already"):
        register_block("mine", lambda: keras.layers.Dense(2))
    with pytest.raises(OperationError, match=r"'conv2d' exists already"):
        register_block("conv2d", squeeze_excite)


def test_lambdas_differ_though_their_names_do_not() -> None:
    register_block("anonymous", lambda: keras.layers.Dense(2))
    with pytest.raises(OperationError, match="exists already"):
        register_block("anonymous", lambda: keras.layers.Dense(3))


def test_unknown_attributes_are_refused_early() -> None:
    register_block("strict", squeeze_excite)
    with pytest.raises(OperationError, match=r"'strict'.*speed"):
        get_operation("strict").attributes({"speed": 1})


def test_unfit_inputs_name_the_block() -> None:
    register_block("picky", lambda: keras.layers.Conv2D(3, 3))
    with pytest.raises(InfeasibleArchitectureError, match=r"'it'.*'picky'.*\(4,\)"):
        one_layer("picky", (4,))


def test_build_must_return_something_to_call() -> None:
    register_block("nothing", lambda: 3)
    with pytest.raises(OperationError, match=r"'nothing'.*keras Layer.*got 3"):
        one_layer("nothing")


def test_build_must_return_a_new_layer() -> None:
    shared = keras.layers.Activation("relu")
    register_block("shared", lambda: shared)
    builder = GraphBuilder(IMAGE)
    first = builder.add("shared", {}, ["input"])
    graph = builder.graph(builder.add("shared", {}, [first]))
    with pytest.raises(OperationError, match="returned a layer it had returned"):
        build_model(graph)


def test_a_block_that_raises_makes_its_architecture_infeasible() -> None:
    @register_block("test_picky")
    def picky(units: int) -> Any:
        if units == 3:
            raise RuntimeError("not three")
        return keras.layers.Dense(units)

    body = [layer("test_picky", units=Choice("units", [3, 5]))]
    space = SearchSpace("picky", input_shape=(4,), classes=2, body=body)
    with pytest.raises(InfeasibleArchitectureError, match=r"can't be built.*RuntimeError: not thr"):
        space.graph(space.genotype({"units": 3}))
    rng = np.random.default_rng(0)
    assert {space.sample(rng).params["units"] for _ in range(9)} == {5}
