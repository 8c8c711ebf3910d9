"""Every operation, written by our writer and run in ONNX Runtime, against its Keras layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_nas import build_model
from keras_nas.blocks.sequence_layers import SEQUENCE_BUILDERS
from optuna_nas.errors import InfeasibleArchitectureError
from optuna_nas.export import onnx_bytes, supported_operations
from optuna_nas.graph import ArchitectureGraph, GraphBuilder
from optuna_nas.graph.operations import ACTIVATIONS

FUNCTIONS = sorted(ACTIVATIONS)


def stirred_weights(model: Any, rng: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Gives every weight a value of its own; returns them by layer and name."""
    weights: dict[str, dict[str, np.ndarray]] = {}
    for layer in model.layers:
        for variable in layer.weights:
            low = 0.3 if variable.name == "moving_variance" else -1.0
            value = rng.uniform(low, 1.0, variable.shape).astype(np.float32)
            variable.assign(value)
            weights.setdefault(layer.name, {})[variable.name] = value
    return weights


def check(graph: ArchitectureGraph, *, batch: int | None = 2, opset: int = 20) -> None:
    """The exported graph computes what Keras computes."""
    rng = np.random.default_rng(0)
    model = build_model(graph, seed=0)
    weights = stirred_weights(model, rng)
    content = onnx_bytes(graph, weights=weights, batch=batch, opset=opset)
    onnx.checker.check_model(content, full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = rng.normal(0.0, 2.0, (2, *graph.input_shape)).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    (output,) = session.run(None, {session.get_inputs()[0].name: x})
    assert output.shape == expected.shape
    size = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(output, expected, atol=2e-5 * size)


def chain(input_shape: tuple[int, ...], *steps: tuple[str, dict[str, Any]]) -> ArchitectureGraph:
    builder = GraphBuilder(input_shape)
    value = "input"
    for op, attributes in steps:
        value = builder.add(op, attributes, [value])
    return builder.graph(value)


pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
paddings = st.sampled_from(["same", "valid"])


@st.composite
def windows(draw: st.DrawFn, window: str) -> dict[str, Any]:
    """Window, strides, dilation and padding that Keras allows."""
    attributes = {window: draw(pairs), "padding": draw(paddings)}
    if window == "kernel_size" and draw(st.booleans()):
        attributes["dilation_rate"] = draw(pairs)  # Keras has it with strides of one alone
    else:
        strides = draw(st.integers(1, 4))  # TensorFlow's depthwise kernel wants them equal
        attributes["strides"] = (strides, strides)
    return attributes


def feasible(input_shape: tuple[int, ...], *steps: tuple[str, dict[str, Any]]) -> ArchitectureGraph:
    try:
        return chain(input_shape, *steps)
    except InfeasibleArchitectureError:
        assume(False)
        raise


@settings(max_examples=60, deadline=None)
@given(sizes, windows("kernel_size"), st.sampled_from([1, 2, 4]), st.booleans(), st.booleans())
def test_convolutions(size, window, groups, bias, normalised):
    attributes = {**window, "filters": 8, "groups": groups, "use_bias": bias}
    behind = [("batch_normalization", {"epsilon": 1e-3})] if normalised else []
    check(feasible((*size, 4), ("conv2d", attributes), *behind))


@settings(max_examples=40, deadline=None)
@given(sizes, windows("kernel_size"), st.booleans(), st.booleans())
def test_depthwise_convolutions(size, window, bias, normalised):
    behind = [("batch_normalization", {})] if normalised else []
    check(feasible((*size, 3), ("depthwise_conv2d", {**window, "use_bias": bias}), *behind))


@settings(max_examples=60, deadline=None)
@given(sizes, windows("pool_size"), st.sampled_from(["max_pooling2d", "average_pooling2d"]))
def test_pools(size, window, op):
    check(feasible((*size, 3), (op, window)))


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 4, 7)])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_activations(shape, function):
    check(chain(shape, ("activation", {"function": function})))
    if len(shape) == 3:  # and where the value is channels-first
        pool = ("max_pooling2d", {"pool_size": (2, 2)})
        check(chain(shape, pool, ("activation", {"function": function})))


def test_gelu_of_older_operator_sets():
    check(chain((7,), ("activation", {"function": "gelu"})), opset=17)


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 4, 7)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("normalised", [True, False])
def test_dense(shape, bias, normalised):
    steps = [("dense", {"units": 5, "use_bias": bias})]
    steps += [("batch_normalization", {})] if normalised else []
    check(chain(shape, *steps))
    if len(shape) == 3:
        check(chain(shape, ("max_pooling2d", {"pool_size": (2, 2)}), *steps))


@pytest.mark.parametrize("op", ["batch_normalization", "layer_normalization"])
@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 4, 7)])
@pytest.mark.parametrize("epsilon", [1e-3, 0.1])
def test_normalisations(op, shape, epsilon):
    relu = ("activation", {"function": "relu"})
    check(chain(shape, relu, (op, {"epsilon": epsilon}), relu))


@pytest.mark.parametrize("op", ["global_average_pooling2d", "global_max_pooling2d", "flatten"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (4, 1, 3), (3, 5, 1), (3, 5, 2)])
@pytest.mark.parametrize("batch", [2, None])
def test_from_image_to_vector(op, shape, batch):
    check(chain(shape, (op, {})), batch=batch)
    check(chain(shape, ("conv2d", {"filters": 3, "kernel_size": (3, 3)}), (op, {})), batch=batch)


@pytest.mark.parametrize("batch", [2, None])
def test_reshapes(batch):
    conv = ("conv2d", {"filters": 4, "kernel_size": (2, 2)})
    for target in [(24,), (3, 8), (8, 3), (2, 3, 4), (4, 3, 2), (1, 1, 24), (2, 3, 2, 2)]:
        check(chain((2, 3, 4), conv, ("reshape", {"target_shape": target})), batch=batch)
    check(chain((24,), ("reshape", {"target_shape": (2, 3, 4)}), conv), batch=batch)


def test_zero_padding():
    padding = ("zero_padding2d", {"padding": ((1, 2), (0, 3))})
    check(chain((4, 5, 2), padding))
    conv = ("conv2d", {"filters": 2, "kernel_size": (3, 3), "strides": (2, 2), "padding": "valid"})
    check(chain((4, 5, 2), ("zero_padding2d", {"padding": ((1, 1), (1, 1))}), conv))


@pytest.mark.parametrize(
    "part", [("cropping2d", {"cropping": ((1, 2), (0, 3))}), ("slice_channels", {"channels": 2})]
)
def test_parts(part):
    conv = ("conv2d", {"filters": 3, "kernel_size": (3, 3)})
    check(chain((4, 5, 3), part))
    check(chain((4, 5, 2), conv, part, conv), batch=None)


@pytest.mark.parametrize("op", ["add", "multiply", "concatenate"])
@pytest.mark.parametrize("inputs", [1, 2, 3])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_merges(op, inputs, shape):
    builder = GraphBuilder(shape)
    functions = ["relu", "tanh", "sigmoid"]
    parts = [builder.add("activation", {"function": f}, ["input"]) for f in functions[:inputs]]
    merged = builder.add(op, {}, parts)
    check(builder.graph(builder.add("activation", {"function": "elu"}, [merged])))


@pytest.mark.parametrize("op", ["add", "multiply", "concatenate"])
def test_merges_of_values_in_different_layouts(op):
    builder = GraphBuilder((4, 6, 3))
    conv = builder.add("conv2d", {"filters": 3, "kernel_size": (3, 3)}, ["input"])
    check(builder.graph(builder.add(op, {}, ["input", conv])))
    check(builder.graph(builder.add(op, {}, [conv, "input", conv])))


def test_squeeze_and_excitation():
    builder = GraphBuilder((4, 6, 8))
    conv = builder.add("conv2d", {"filters": 8, "kernel_size": (3, 3)}, ["input"])
    value = builder.add("global_average_pooling2d", {}, [conv])
    value = builder.add("dense", {"units": 2}, [value])
    value = builder.add("activation", {"function": "relu"}, [value])
    value = builder.add("reshape", {"target_shape": (1, 1, 2)}, [value])
    value = builder.add("conv2d", {"filters": 8, "kernel_size": (1, 1)}, [value])
    value = builder.add("activation", {"function": "sigmoid"}, [value])
    scaled = builder.add("multiply", {}, [conv, value])
    check(builder.graph(builder.add("layer_normalization", {}, [scaled])))


@pytest.mark.parametrize("op", ["zero", "identity"])
def test_zero_and_identity(op):
    conv = ("conv2d", {"filters": 3, "kernel_size": (3, 3), "use_bias": True})
    head = [("global_average_pooling2d", {}), ("dense", {"units": 2})]
    check(chain((4, 5, 2), conv, (op, {}), conv, *head))
    check(chain((4, 5, 2), conv, (op, {}), ("batch_normalization", {}), *head), batch=None)


def test_dropout_is_for_training_alone():
    check(
        chain(
            (6,), ("dense", {"units": 4}), ("dropout", {"rate": 0.5}), ("batch_normalization", {})
        )
    )


def test_nothing_is_forgotten():
    """Grows with the writer: an operation without a test is a failure.

    Those on sequences have theirs in a file of their own, which makes sure of that too.
    """
    tested = {
        "input",
        "conv2d",
        "depthwise_conv2d",
        "dense",
        "batch_normalization",
        "layer_normalization",
        "activation",
        "max_pooling2d",
        "average_pooling2d",
        "global_average_pooling2d",
        "global_max_pooling2d",
        "flatten",
        "dropout",
        "reshape",
        "zero_padding2d",
        "cropping2d",
        "slice_channels",
        "identity",
        "zero",
        "add",
        "multiply",
        "concatenate",
    }
    assert set(supported_operations()) == tested | set(SEQUENCE_BUILDERS)
