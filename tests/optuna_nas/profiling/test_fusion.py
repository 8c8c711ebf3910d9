from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.graph import GraphBuilder
from optuna_nas.profiling.fusion import fused_operations, is_free, single_operation
from optuna_nas.profiling.operation_models import (
    empty_model,
    empty_time,
    operation_model,
    operation_time,
    probe_model,
)
from optuna_nas.spaces import chain_cnn, darts, mobile_cnn, nas_bench_201, text_classifier

CONV = {"filters": 8, "kernel_size": (3, 3)}
RELU = {"function": "relu"}
SPACES = [chain_cnn(), nas_bench_201(cells=1), mobile_cnn(), text_classifier()]


def operations_of(builder: GraphBuilder, output: str) -> dict[str, int]:
    """How often each chain of layers occurs."""
    graph = builder.graph(output)
    return {
        "+".join(part.op for part in operation.parts): count
        for operation, count in fused_operations(graph).items()
    }


def test_a_convolution_takes_normalisation_activation_and_padding_with_it():
    builder = GraphBuilder((8, 8, 3))
    value = builder.add("zero_padding2d", {"padding": 1}, ["input"])
    value = builder.add("conv2d", {**CONV, "padding": "valid"}, [value])
    value = builder.add("batch_normalization", {}, [value])
    value = builder.add("activation", RELU, [value])
    assert operations_of(builder, value) == {
        "zero_padding2d+conv2d+batch_normalization+activation": 1
    }


def test_what_others_read_too_is_not_fused():
    builder = GraphBuilder((8, 8, 3))
    conv = builder.add("conv2d", CONV, ["input"])
    left = builder.add("activation", RELU, [conv])
    window = {"pool_size": 3, "strides": 1, "padding": "same"}
    right = builder.add("average_pooling2d", window, [conv])
    total = builder.add("add", {}, [left, right])
    assert operations_of(builder, total) == {
        "conv2d": 1,
        "activation": 1,
        "average_pooling2d": 1,
        "add": 1,
    }


def test_an_addition_joins_one_convolution_and_reads_the_other_value():
    builder = GraphBuilder((8, 8, 8))
    conv = builder.add("conv2d", CONV, ["input"])
    normal = builder.add("batch_normalization", {}, [conv])
    total = builder.add("add", {}, ["input", normal])
    value = builder.add("activation", RELU, [total])
    (operation,) = fused_operations(builder.graph(value))
    assert [part.op for part in operation.parts] == [
        "conv2d",
        "batch_normalization",
        "add",
        "activation",
    ]
    assert operation.inputs == ((8, 8, 8), (8, 8, 8))
    assert operation.family == "conv2d 3x3 + add + relu"
    assert operation.weights == 9 * 8 * 8


def test_sums_of_three_are_sums_of_two_and_equal_layers_are_one():
    builder = GraphBuilder((8, 8, 8))
    relus = [builder.add("activation", RELU, ["input"]) for _ in range(2)]
    pool = builder.add("max_pooling2d", {"pool_size": (2, 2)}, ["input"])
    pools = [builder.add("max_pooling2d", {"pool_size": (2, 2)}, [relu]) for relu in relus]
    total = builder.add("add", {}, [pool, *pools])
    assert operations_of(builder, total) == {"activation": 1, "max_pooling2d": 2, "add": 2}


def test_keys_tell_shapes_and_attributes_apart_and_nothing_else():
    shapes = [(8, 8, 4)], (8, 8, 8)
    plain = single_operation("conv2d", CONV, *shapes)
    assert plain == single_operation("conv2d", {**CONV, "use_bias": True}, *shapes)
    assert hash(plain) == hash(single_operation("conv2d", {**CONV, "strides": 1}, *shapes))
    others = [
        single_operation("conv2d", CONV, [(8, 8, 5)], (8, 8, 8)),
        single_operation("conv2d", {**CONV, "kernel_size": (5, 5)}, *shapes),
        single_operation("conv2d", {**CONV, "groups": 2}, *shapes),
    ]
    assert len({plain, *others}) == 4
    assert plain.kind == plain.family == "conv2d 3x3"
    assert plain.macs == 8 * 8 * 8 * 9 * 4


def test_a_vector_as_an_image_of_one_pixel_is_free_and_other_reshapes_are_not():
    assert is_free("reshape", [(16,)], (1, 1, 16))
    assert not is_free("reshape", [(4, 4, 2)], (32,))
    assert is_free("dropout", [(4,)], (4,))


@given(st.sampled_from(SPACES), st.integers(0, 10_000))
def test_macs_of_fused_operations_add_up(space, seed):
    graph = space.graph(space.sample(np.random.default_rng(seed))).pruned()
    assert sum(o.macs * n for o, n in fused_operations(graph).items()) <= graph.macs
    if not any(layer.op in ("activation", "zero") for layer in graph.layers):
        assert sum(o.macs * n for o, n in fused_operations(graph).items()) == graph.macs


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_every_operation_of_a_network_is_a_model_that_runs(space):
    graph = space.graph(space.sample(np.random.default_rng(3)))
    for operation in fused_operations(graph):
        session = onnxruntime.InferenceSession(operation_model(operation))
        kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
        feed = {i.name: np.ones(i.shape, kinds[i.type]) for i in session.get_inputs()}
        (value,) = session.run(None, feed)
        assert value.size == np.prod(operation.output)
        assert len(feed) == len(operation.inputs)


def test_probes_and_the_empty_model_run():
    for model, shape in ((probe_model((4, 4, 6)), (1, 6, 4, 4)), (empty_model(3), (1, 1))):
        session = onnxruntime.InferenceSession(model)
        (value,) = session.run(None, {"input0": np.ones(shape, np.float32)})
        assert value.shape == shape


def test_the_time_of_an_operation_is_what_probes_leave():
    operation = single_operation("conv2d", CONV, [(8, 8, 4)], (8, 8, 8))
    probes = {(8, 8, 4): 3.0, (8, 8, 8): 5.0}
    assert operation_time(10.0, operation, probes, 1.0) == pytest.approx(10.0 - 4.0)
    assert operation_time(2.0, operation, probes, 1.0) == 0.0
    pooled = single_operation("global_average_pooling2d", {}, [(8, 8, 4)], (4,))
    assert operation_time(10.0, pooled, probes, 1.0) == pytest.approx(10.0 - 1.5 - 0.5)
    total = single_operation("add", {}, [(8, 8, 4), (8, 8, 4)], (8, 8, 4))
    assert operation_time(10.0, total, probes, 1.0) == pytest.approx(10.0 - 4.5 + 0.5)


def test_what_rests_on_zeros_alone_is_known_beforehand():
    builder = GraphBuilder((8, 8, 8))
    nothing = builder.add("zero", {}, ["input"])
    normal = builder.add("batch_normalization", {}, [nothing])
    shifted = builder.add("conv2d", CONV, [builder.add("activation", RELU, [normal])])
    conv = builder.add("conv2d", CONV, ["input"])
    total = builder.add("add", {}, [conv, shifted])
    assert operations_of(builder, total) == {"conv2d": 1, "add": 1}
    assert operations_of(builder, shifted) == {}
    add = next(o for o in fused_operations(builder.graph(total)) if o.main.op == "add")
    assert add.inputs == ((8, 8, 8),)
    session = onnxruntime.InferenceSession(operation_model(add))
    assert len(session.get_inputs()) == 1


def test_what_is_concatenated_with_constants_reads_them():
    builder = GraphBuilder((8, 8, 8))
    nothing = builder.add("zero", {}, ["input"])
    constant = builder.add("batch_normalization", {}, [nothing])
    joined = builder.add("concatenate", {}, ["input", constant])
    (operation,) = fused_operations(builder.graph(joined))
    assert operation.inputs == ((8, 8, 8), (8, 8, 8))
    assert operation.output == (8, 8, 16)


def test_different_constants_are_not_taken_for_one():
    builder = GraphBuilder((8, 8, 8))
    nothing = builder.add("zero", {}, ["input"])
    constants = [builder.add("batch_normalization", {}, [nothing]) for _ in range(2)]
    sums = [builder.add("add", {}, ["input", constant]) for constant in constants]
    relus = [builder.add("activation", RELU, [value]) for value in sums]
    total = builder.add("concatenate", {}, relus)
    assert operations_of(builder, total) == {"add": 2, "activation": 2, "concatenate": 1}


def test_what_is_multiplied_by_zeros_is_a_constant_too():
    builder = GraphBuilder((8, 8, 8))
    pooled = builder.add("global_average_pooling2d", {}, ["input"])
    row = builder.add("reshape", {"target_shape": (1, 1, 8)}, [pooled])
    product = builder.add("multiply", {}, ["input", builder.add("zero", {}, [row])])
    assert operations_of(builder, builder.add("conv2d", CONV, [product])) == {}


@pytest.mark.parametrize("space", [darts(channels=8, cells=3), nas_bench_201(cells=1)], ids=str)
def test_models_of_operations_give_their_outputs(space):
    rng = np.random.default_rng(0)
    graphs = [space.graph(space.sample(rng)) for _ in range(30)]
    for operation in {o for graph in graphs for o in fused_operations(graph)}:
        session = onnxruntime.InferenceSession(operation_model(operation))
        feed = {i.name: np.ones(i.shape, np.float32) for i in session.get_inputs()}
        (value,) = session.run(None, feed)
        assert value.size == np.prod(operation.output), operation.key


def test_a_run_without_layers_is_a_layer_quicker_than_with_one():
    assert empty_time({1: 2.3, 9: 4.7}) == pytest.approx(2.0)
    assert empty_time({1: 1.0, 9: 20.0}) == 0.0
