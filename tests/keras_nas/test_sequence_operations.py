"""Operations on sequences in Keras, in ONNX Runtime and back again: one function all the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_nas import build_model, export_onnx, train
from keras_nas._keras import keras
from keras_nas.blocks.sequence_layers import SEQUENCE_BUILDERS
from keras_nas.export import prove
from keras_nas.graph_of import UnsupportedModelError, graph_of
from optuna_nas.errors import InfeasibleArchitectureError
from optuna_nas.export import onnx_bytes, weight_shapes
from optuna_nas.graph import ArchitectureGraph, GraphBuilder
from tests.optuna_nas.graph.test_sequences import chain

# Keras hands TensorFlow variables to NumPy in a way NumPy 2 finds old.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

L = keras.layers
TOKENS = 11
RECURRENT = [
    (op, {"units": 5, "return_sequences": sequences, "bidirectional": both})
    for op in ("lstm", "gru")
    for sequences in (False, True)
    for both in (False, True)
]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("conv1d", {"filters": 6, "kernel_size": 3, "dilation_rate": 2, "padding": "causal"}),
    ("max_pooling1d", {"pool_size": 2, "strides": 2}),
    ("average_pooling1d", {"pool_size": 3, "strides": 2}),
    ("global_average_pooling1d", {}),
    ("global_max_pooling1d", {}),
    ("cropping1d", {"cropping": (1, 2)}),
    *RECURRENT,
    # Node 3 reads node 1, so that Keras lists it before node 2.
    ("darts_rnn", {"units": 5, "cell": (("sigmoid", 0), ("relu", 1), ("linear", 2), ("tanh", 1))}),
    ("darts_rnn", {"units": 5, "cell": (("hard_silu", 0),)}),
    ("multi_head_attention", {"num_heads": 3, "key_dim": 2}),
    ("additive_attention_pooling", {"units": 5}),
    ("multiplicative_attention_pooling", {}),
    ("position_embedding", {}),
    ("class_token", {}),
]


def stirred(model: Any) -> Any:
    """The model, every weight of it with a value of its own."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        low = 0.3 if "variance" in variable.path else -1.0
        variable.assign(rng.uniform(low, 1.0, variable.shape))
    return model


def examples(model: Any) -> np.ndarray:
    rng = np.random.default_rng(1)
    shape = (3, *model.input_shape[1:])
    if model.inputs[0].dtype.startswith("int"):
        return rng.integers(0, TOKENS, shape)
    return rng.normal(0.0, 2.0, shape).astype(np.float32)


def check(graph: ArchitectureGraph, *, batch: int | None = 3) -> None:
    """Counts, Keras's outputs, the way back, and ONNX Runtime's outputs agree."""
    model = stirred(build_model(graph, seed=0))
    assert model.count_params() == graph.params + graph.non_trainable_params
    parts = graph_of(model)
    assert parts.graph.canonical_id == graph.canonical_id
    shapes = {
        layer: {name: array.shape for name, array in weights.items()}
        for layer, weights in parts.weights.items()
    }
    assert shapes == weight_shapes(graph)
    content = onnx_bytes(graph, weights=parts.weights, batch=batch)
    onnx.checker.check_model(content, full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = examples(model)
    expected = np.asarray(model(x, training=False))
    (output,) = session.run(None, {"input": x})
    assert output.shape == expected.shape
    np.testing.assert_allclose(output, expected, atol=2e-5 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize(("op", "attributes"), CASES)
def test_every_operation(op: str, attributes: dict[str, Any]) -> None:
    check(chain((9, 4), (op, attributes)))


@pytest.mark.parametrize(("op", "attributes"), [case for case in CASES if "attention" in case[0]])
def test_attention_to_a_single_step(op: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    """It is that step, and Keras has nothing to warn of, however the network is used."""
    graph = chain((1, 4), (op, attributes))
    check(graph)
    model = stirred(build_model(graph, seed=0))
    model.save(tmp_path / "model.keras")
    x = examples(model)
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(x), model(x))
    if op.endswith("pooling"):
        np.testing.assert_allclose(model(x), x[:, 0], atol=1e-6)
        classifier = build_model(chain((1, 4), (op, attributes), ("dense", {"units": 2})), seed=0)
        queries = classifier.layers[1].get_layer("query").get_weights()
        classifier.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        classifier.fit(x, np.zeros(len(x)), verbose=0)
        train(classifier, x, np.zeros(len(x), int), epochs=1)
        after = classifier.layers[1].get_layer("query").get_weights()
        np.testing.assert_array_equal(after, queries)  # a choice of one has no gradient


def test_nothing_is_forgotten() -> None:
    assert {op for op, _ in CASES} | {"embedding"} == set(SEQUENCE_BUILDERS)


def test_nodes_of_a_recurrent_cell_in_another_order_are_one_function() -> None:
    first = (("tanh", 0), ("relu", 1), ("sigmoid", 1), ("tanh", 3))
    other = (("tanh", 0), ("sigmoid", 1), ("relu", 1), ("tanh", 2))
    same = (0, 2, 1, 3)  # where the nodes of the other are in the first
    graphs = [chain((9, 4), ("darts_rnn", {"units": 5, "cell": cell})) for cell in (first, other)]
    assert graphs[0].canonical_id == graphs[1].canonical_id
    weights = graph_of(stirred(build_model(graphs[0]))).weights["darts_rnn"]
    moved = {**weights, "nodes_kernel": weights["nodes_kernel"][list(same)]}
    x = np.random.default_rng(0).normal(size=(1, 9, 4)).astype(np.float32)
    outputs = []
    for graph, arrays in zip(graphs, (weights, moved), strict=True):
        content = onnx_bytes(graph, weights={"darts_rnn": arrays})
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        outputs.append(session.run(None, {"input": x})[0])
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-6)


@settings(max_examples=25)
@given(
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from(["same", "valid", "causal"]),
    st.sampled_from(["conv1d", "max_pooling1d", "average_pooling1d"]),
    st.booleans(),
)
def test_windows(steps: int, size: int, move: int, padding: str, op: str, dilated: bool) -> None:
    attributes: dict[str, Any] = {"padding": padding}
    if op == "conv1d":
        attributes |= {"filters": 3, "kernel_size": size, "use_bias": dilated}
        attributes |= {"dilation_rate" if dilated else "strides": move}
    else:
        attributes |= {"pool_size": size, "strides": move}
        attributes["padding"] = "valid" if padding == "causal" else padding
    try:
        graph = chain((steps, 2), (op, attributes))
    except InfeasibleArchitectureError:
        return
    check(graph)


def test_tokens_are_whole_numbers(tmp_path: Path) -> None:
    """Taken as int32 by Keras and int64 by ONNX; floats, as data have them, are cast."""
    steps: list[tuple[str, dict[str, Any]]] = [
        ("embedding", {"input_dim": TOKENS, "output_dim": 4}),
        ("global_average_pooling1d", {}),
    ]
    graph = chain((7,), *steps)
    check(graph)
    check(graph, batch=None)
    model = build_model(graph, seed=0)
    x = examples(model)
    np.testing.assert_array_equal(model(x), model(x.astype(np.float32)))
    path = export_onnx(model, tmp_path / "model.onnx")
    assert prove(model, path, x).passed
    assert prove(model, path, x.astype(np.float32)).passed


def test_tokens_among_other_features() -> None:
    builder = GraphBuilder((7,))
    embedded = builder.add("embedding", {"input_dim": TOKENS, "output_dim": 4}, ["input"])
    pooled = builder.add("global_max_pooling1d", {}, [embedded])
    joined = builder.add("concatenate", {}, [pooled, builder.add("dense", {"units": 2}, ["input"])])
    graph = builder.graph(joined)
    content = onnx_bytes(graph, batch=1)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == "tensor(float)"
    assert session.run(None, {"input": np.ones((1, 7), np.float32)})[0].shape == (1, 6)


def test_layouts_meet() -> None:
    """Convolutions work channels-first, recurrences do not; sums and denses take either."""
    builder = GraphBuilder((8, 4))
    convolved = builder.add("conv1d", {"filters": 6, "kernel_size": 3}, ["input"])
    normalised = builder.add("batch_normalization", {}, [convolved])
    states = builder.add(
        "lstm", {"units": 3, "return_sequences": True, "bidirectional": True}, [normalised]
    )
    total = builder.add("add", {}, [normalised, states])
    mapped = builder.add("dense", {"units": 5}, [total])
    again = builder.add(
        "batch_normalization", {}, [builder.add("layer_normalization", {}, [total])]
    )
    joined = builder.add("concatenate", {}, [mapped, again])
    soft = builder.add("activation", {"function": "softmax"}, [joined])
    zero = builder.add("zero", {}, [soft])
    check(builder.graph(builder.add("flatten", {}, [builder.add("add", {}, [soft, zero])])))


def test_an_image_becomes_a_sequence_of_patches() -> None:
    patches = ("conv2d", {"filters": 4, "kernel_size": 2, "strides": 2, "padding": "valid"})
    check(chain((4, 6, 3), patches, ("reshape", {"target_shape": (6, 4)}), ("class_token", {})))


# Keras 3.10 takes the input of a loaded model for a list, and says so when it gets none.
@pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning")
@pytest.mark.parametrize("op", ["darts_rnn", "additive_attention_pooling", "class_token"])
def test_a_saved_network_needs_keras_alone(op: str, tmp_path: Path) -> None:
    attributes = dict(CASES)[op]
    graph = chain((9, 4), ("position_embedding", {}), (op, attributes))
    model = stirred(build_model(graph, seed=0))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = examples(model)
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)
    assert graph_of(loaded).graph == graph


def branched(function: Any, shape: tuple[int, ...] = (6, 4), dtype: str = "float32") -> Any:
    inputs = keras.Input(shape, dtype=dtype)
    return keras.Model(inputs, function(inputs))


def test_a_model_written_by_hand(tmp_path: Path) -> None:
    def network(x: Any) -> Any:
        x = L.SpatialDropout1D(0.2)(L.Embedding(TOKENS, 6)(x))
        x = L.Conv1D(6, 3, padding="causal", activation="relu")(x)
        x = x + L.MultiHeadAttention(2, 3, dropout=0.1)(x, x)
        x = L.MaxPooling1D(2)(L.LayerNormalization()(x))
        x = L.Bidirectional(L.GRU(4, return_sequences=True, dropout=0.1))(x)
        pooled = L.GlobalAveragePooling1D(keepdims=True)(x)
        return L.Dense(3)(L.Concatenate()([L.LSTM(5)(x), L.Flatten()(pooled)]))

    model = stirred(branched(network, (8,), "int32"))
    path = export_onnx(model, tmp_path / "model.onnx", method="graph")
    proof = prove(model, path, examples(model))
    assert proof.passed, proof


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: L.Embedding(9, 2, mask_zero=True)(x[:, :, 0]), "GetItem|mask_zero"),
        (L.LSTM(3, activation="relu"), "activation='relu'"),
        (L.GRU(3, reset_after=False), "reset_after=False"),
        (L.GRU(3, go_backwards=True), "go_backwards"),
        (L.Bidirectional(L.LSTM(3), merge_mode="sum"), "merge"),
        (L.Bidirectional(L.SimpleRNN(3)), "SimpleRNN"),
        (L.Conv1D(4, 3, groups=2), "groups=2"),
        (L.MaxPooling1D(2, data_format="channels_first"), "channels_first"),
        (lambda x: L.MultiHeadAttention(2, 3)(x, L.Dense(4)(x)), "its own input"),
        (lambda x: L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True), "a mask"),
        (lambda x: L.MultiHeadAttention(2, 3, value_dim=5)(x, x), "value_dim=5"),
        (lambda x: L.MultiHeadAttention(2, 3, use_bias=False)(x, x), "use_bias=False"),
        (lambda x: L.LSTM(3)(x, initial_state=[L.Flatten()(x[:, :3, :1])] * 2), "."),
    ],
)
def test_what_graphs_can_not_express_is_named(function: Any, message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        graph_of(branched(function))


def test_a_nested_model_of_the_users_own_is_taken_apart() -> None:
    inner = branched(lambda x: L.Dense(2, name="query")(L.Dense(5, name="keys")(x)))
    outer = branched(lambda x: L.Dense(1, name="scores")(inner(x)))
    model = branched(lambda x: outer(x))
    assert [layer.op for layer in graph_of(model).graph.layers] == ["input", *["dense"] * 3]


@pytest.mark.slow
def test_masks_go_the_slow_way(tmp_path: Path) -> None:
    model = stirred(
        branched(lambda x: L.LSTM(3)(L.Embedding(TOKENS, 4, mask_zero=True)(x)), (5,), "int32")
    )
    path = export_onnx(model, tmp_path / "model.onnx")
    proof = prove(model, path, examples(model).astype(np.float32))
    assert proof.passed, proof
