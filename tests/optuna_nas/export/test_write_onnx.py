from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from optuna_nas.errors import ExportError, OperationError, UnsupportedOperationError
from optuna_nas.export import (
    Preprocessing,
    Rule,
    onnx_bytes,
    random_weights,
    register_rule,
    supported_operations,
    weight_shapes,
    write_onnx,
)
from optuna_nas.export.rules import _RULES
from optuna_nas.graph import ArchitectureGraph, GraphBuilder, Operation, operation_names
from optuna_nas.graph.operations import _OPERATIONS, register_operation
from optuna_nas.spaces import chain_cnn, nas_bench_201, tabular_mlp


def chain(input_shape: tuple[int, ...], *steps: tuple[str, dict]) -> ArchitectureGraph:
    builder = GraphBuilder(input_shape)
    value = "input"
    for op, attributes in steps:
        value = builder.add(op, attributes, [value])
    return builder.graph(value)


def kinds(content: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(content).graph.node)


def run(content: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (name,) = [item.name for item in session.get_inputs()]
    return session.run(None, {name: x.astype(np.float32)})[0]


CONV = {"filters": 8, "kernel_size": (3, 3)}


@pytest.mark.parametrize(
    "space",
    [
        nas_bench_201(cells=1),
        chain_cnn(input_shape=(13, 9, 2), classes=3),
        tabular_mlp(input_shape=(7,), classes=4),
    ],
    ids=lambda space: space.name,
)
@pytest.mark.parametrize("batch", [1, 3, None])
def test_random_networks_are_valid_and_run(space, batch):
    rng = np.random.default_rng(0)
    for seed in range(4):
        graph = space.graph(space.sample(rng))
        content = onnx_bytes(graph, seed=seed, batch=batch)
        onnx.checker.check_model(content, full_check=True)
        output = run(content, rng.standard_normal((batch or 2, *graph.input_shape)))
        assert output.shape == (batch or 2, *graph.output_shape)
        assert np.isfinite(output).all()


def test_the_same_arguments_give_the_same_bytes():
    space = nas_bench_201(cells=1)
    graph = space.graph(space.sample(np.random.default_rng(1)))
    arguments = {"preprocessing": Preprocessing([1, 2, 3], 0.5), "metadata": {"b": "1", "a": "2"}}
    assert onnx_bytes(graph, seed=3, **arguments) == onnx_bytes(graph, seed=3, **arguments)
    assert onnx_bytes(graph, seed=3) != onnx_bytes(graph, seed=4)


def test_an_image_network_transposes_once_and_folds_its_normalisations():
    normalised = [
        ("conv2d", CONV),
        ("batch_normalization", {}),
        ("activation", {"function": "relu"}),
    ]
    graph = chain(
        (8, 8, 3), *normalised * 3, ("global_average_pooling2d", {}), ("dense", {"units": 2})
    )
    assert kinds(onnx_bytes(graph)) == {
        "Transpose": 1, "Conv": 3, "Relu": 3, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1,
    }  # fmt: skip


def test_a_flat_network_is_not_transposed():
    graph = chain((6, 6, 3), ("flatten", {}), ("dense", {"units": 4}), ("batch_normalization", {}))
    assert kinds(onnx_bytes(graph)) == {"Flatten": 1, "Gemm": 1}


def test_one_channel_is_reshaped_rather_than_transposed():
    graph = chain((6, 6, 1), ("conv2d", CONV))
    assert kinds(onnx_bytes(graph))["Reshape"] == 1  # the other way, at the output, it has four


def test_a_normalisation_is_not_folded_where_its_convolution_has_another_reader():
    builder = GraphBuilder((8, 8, 3))
    conv = builder.add("conv2d", CONV, ["input"])
    norm = builder.add("batch_normalization", {}, [conv])
    graph = builder.graph(builder.add("add", {}, [conv, norm]))
    assert kinds(onnx_bytes(graph))["BatchNormalization"] == 1


def test_a_normalisation_is_not_folded_into_the_output():
    builder = GraphBuilder((8, 8, 3))
    conv = builder.add("conv2d", CONV, ["input"])
    builder.add("batch_normalization", {}, [conv])
    assert kinds(onnx_bytes(builder.graph(conv))) == {"Transpose": 2, "Conv": 1}


def test_folding_computes_what_is_written_apart():
    graph = chain((5, 5, 2), ("conv2d", {**CONV, "use_bias": True}), ("batch_normalization", {}))
    weights = random_weights(graph, seed=1)
    rng = np.random.default_rng(2)
    for name in ("gamma", "beta", "moving_mean"):
        weights["batch_normalization"][name] = rng.standard_normal(8)
    weights["batch_normalization"]["moving_variance"] = rng.uniform(0.1, 2, 8)
    x = rng.standard_normal((1, 5, 5, 2))
    before = run(onnx_bytes(ArchitectureGraph(graph.layers[:2]), weights=weights), x)
    w = weights["batch_normalization"]
    expected = (before - w["moving_mean"]) / np.sqrt(w["moving_variance"] + 1e-5)
    expected = expected * w["gamma"] + w["beta"]
    np.testing.assert_allclose(run(onnx_bytes(graph, weights=weights), x), expected, atol=1e-5)


def test_dead_branches_zeros_identities_and_dropout_are_left_out():
    builder = GraphBuilder((8, 8, 3))
    builder.add("conv2d", CONV, ["input"], name="dead")
    zero = builder.add("zero", {}, ["input"])
    same = builder.add("identity", {}, ["input"])
    total = builder.add("add", {}, [zero, same])
    dropped = builder.add("dropout", {"rate": 0.5}, [total])
    graph = builder.graph(builder.add("activation", {"function": "relu"}, [dropped]))
    assert kinds(onnx_bytes(graph)) == {"Relu": 1}


@pytest.mark.parametrize("batch", [2, None])
def test_a_network_of_zeros_gives_what_its_biases_give(batch):
    graph = chain(
        (4, 4, 2), ("zero", {}), ("global_average_pooling2d", {}), ("dense", {"units": 3})
    )
    weights = {"dense": {"kernel": np.ones((2, 3)), "bias": np.array([1.0, 2.0, 3.0])}}
    output = run(onnx_bytes(graph, weights=weights, batch=batch), np.ones((2, 4, 4, 2)))
    np.testing.assert_array_equal(output, [[1, 2, 3]] * 2)


def test_a_network_may_return_its_input():
    graph = chain((3,), ("identity", {}))
    x = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(run(onnx_bytes(graph), x), x)


def test_preprocessing_and_softmax_are_part_of_the_model():
    graph = chain((3,), ("identity", {}))
    before = Preprocessing([1, 2, 3], [1, 0.5, 2])
    x = np.array([[3.0, 0.0, 4.0]])
    scaled = before.apply(x)
    np.testing.assert_array_equal(run(onnx_bytes(graph, preprocessing=before), x), scaled)
    content = onnx_bytes(graph, preprocessing=before, softmax=True)
    expected = np.exp(scaled) / np.exp(scaled).sum()
    np.testing.assert_allclose(run(content, x), expected, rtol=1e-6)
    assert onnx.load_from_string(content).graph.output[0].name == "probabilities"


def test_neutral_preprocessing_costs_nothing():
    graph = chain((3,), ("dense", {"units": 2}))
    assert kinds(onnx_bytes(graph, preprocessing=Preprocessing())) == {"Gemm": 1}


def test_every_operation_has_a_rule():
    assert set(supported_operations()) >= {
        name for name in operation_names() if _OPERATIONS[name].defaults is not None
    }


def test_metadata_and_producer_are_written():
    model = onnx.load_from_string(
        onnx_bytes(chain((3,), ("dense", {"units": 2})), metadata={"a": "b"})
    )
    assert model.producer_name == "optuna-nas"
    assert [(item.key, item.value) for item in model.metadata_props] == [("a", "b")]


@pytest.mark.parametrize("opset", [17, 18, 20, 21])
def test_operator_sets(opset):
    functions = ["gelu", "mish", "hard_silu", "relu6"]
    steps = [("activation", {"function": name}) for name in functions]
    graph = chain((6,), *steps, ("layer_normalization", {}))
    content = onnx_bytes(graph, opset=opset)
    onnx.checker.check_model(content, full_check=True)
    x = np.linspace(-3, 8, 6)[np.newaxis]
    np.testing.assert_allclose(run(content, x), run(onnx_bytes(graph), x), atol=2e-6)


def test_random_weights_keep_activations_alive_in_deep_networks():
    block = [("conv2d", CONV), ("activation", {"function": "relu"})]
    for size in (1, 6):  # at 1x1 a 3x3 kernel sees one value of nine
        graph = chain((size, size, 3), *block * 100)
        output = run(onnx_bytes(graph), np.ones((1, size, size, 3)))
        assert 1e-20 < np.abs(output).max() < 1e20  # denormals begin at 1e-38


def test_random_weights_have_the_shapes_of_the_graph():
    space = chain_cnn(input_shape=(8, 8, 1), classes=10)
    graph = space.graph(space.sample(np.random.default_rng(0)))
    weights = random_weights(graph)
    shapes = {layer: {k: v.shape for k, v in arrays.items()} for layer, arrays in weights.items()}
    assert shapes == weight_shapes(graph)
    assert sum(v.size for arrays in weights.values() for v in arrays.values()) == (
        graph.params + graph.non_trainable_params
    )


def test_missing_and_misshapen_weights_are_named():
    graph = chain((3,), ("dense", {"units": 2}))
    weights = random_weights(graph)
    with pytest.raises(ExportError, match=r"dense/bias of shape \(2,\) is missing"):
        onnx_bytes(graph, weights={"dense": {"kernel": weights["dense"]["kernel"]}})
    weights["dense"]["kernel"] = weights["dense"]["kernel"].T
    with pytest.raises(ExportError, match=r"dense/kernel must have shape \(3, 2\), got \(2, 3\)"):
        onnx_bytes(graph, weights=weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch": 0}, "batch: expected at least 1"),
        ({"opset": 12}, "opset: expected at least 17"),
        ({"preprocessing": Preprocessing([1, 2], 1)}, "mean has 2 values, the input 3 channels"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ExportError, match=message):
        onnx_bytes(chain((3,), ("dense", {"units": 2})), **arguments)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path):
    graph = chain((3,), ("dense", {"units": 2}))
    path = tmp_path / "model.onnx"
    assert write_onnx(graph, path) == path
    assert path.read_bytes() == onnx_bytes(graph)
    with pytest.raises(ExportError, match="choose a folder that exists"):
        write_onnx(graph, tmp_path / "nowhere" / "model.onnx")
    with pytest.raises(ExportError):
        write_onnx(graph, path, weights={})
    assert path.read_bytes() == onnx_bytes(graph)
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"]


def test_an_operation_of_ones_own(monkeypatch):
    monkeypatch.setattr("optuna_nas.graph.operations._OPERATIONS", dict(_OPERATIONS))
    monkeypatch.setattr("optuna_nas.export.rules._RULES", dict(_RULES))
    register_operation(Operation("shift", lambda _a, inputs: inputs[0]))
    graph = chain((3,), ("shift", {}))
    with pytest.raises(UnsupportedOperationError, match="'shift' has no ONNX rule"):
        onnx_bytes(graph)

    def write(writer, layer):
        bias = writer.constant(writer.weight(layer, "bias"), "shift/bias")
        writer.put(layer, writer.node("Add", [writer.read(layer.inputs[0]), bias], layer.name))

    register_rule("shift", Rule(write, lambda _attributes, inputs: {"bias": inputs[0]}))
    content = onnx_bytes(graph, weights={"shift": {"bias": np.array([1.0, 2.0, 3.0])}})
    np.testing.assert_array_equal(run(content, np.zeros((1, 3))), [[1, 2, 3]])
    onnx_bytes(graph)
    with pytest.raises(OperationError, match="already"):
        register_rule("shift", Rule(write))


def test_without_onnx_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ExportError, match=r"optuna-nas\[onnx\]"):
        onnx_bytes(chain((3,), ("dense", {"units": 2})))
