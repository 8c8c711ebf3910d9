"""Operations on sequences: shapes and counts worked out by hand, and identities."""

from __future__ import annotations

from typing import Any

import pytest

from optuna_nas.errors import InfeasibleArchitectureError, OperationError
from optuna_nas.export import random_weights
from optuna_nas.graph import ArchitectureGraph, GraphBuilder


def chain(shape: tuple[int, ...], *steps: tuple[str, dict[str, Any]]) -> ArchitectureGraph:
    builder = GraphBuilder(shape)
    value = "input"
    for op, attributes in steps:
        value = builder.add(op, attributes, [value])
    return builder.graph(value)


@pytest.mark.parametrize(
    ("op", "shape", "attributes", "output", "params", "macs"),
    [
        ("embedding", (9,), {"input_dim": 100, "output_dim": 8}, (9, 8), 800, 0),
        ("conv1d", (9, 4), {"filters": 6, "kernel_size": 3}, (9, 6), 72, 9 * 72),
        (
            "conv1d",
            (9, 4),
            {"filters": 6, "kernel_size": 3, "strides": 2, "padding": "valid", "use_bias": True},
            (4, 6),
            78,
            4 * 78,
        ),
        (
            "conv1d",
            (9, 4),
            {"filters": 6, "kernel_size": 3, "dilation_rate": 2, "padding": "valid"},
            (5, 6),
            72,
            5 * 72,
        ),
        (
            "conv1d",
            (9, 4),
            {"filters": 6, "kernel_size": 3, "padding": "causal"},
            (9, 6),
            72,
            9 * 72,
        ),
        ("max_pooling1d", (9, 4), {"pool_size": 2, "strides": 2}, (5, 4), 0, 0),
        (
            "average_pooling1d",
            (9, 4),
            {"pool_size": 2, "strides": 2, "padding": "valid"},
            (4, 4),
            0,
            0,
        ),
        ("global_average_pooling1d", (9, 4), {}, (4,), 0, 0),
        ("global_max_pooling1d", (9, 4), {}, (4,), 0, 0),
        ("cropping1d", (9, 4), {"cropping": (2, 1)}, (6, 4), 0, 0),
        # A gate: 4 channels and 5 states to 5 units, with a bias (a GRU has two).
        ("lstm", (9, 4), {"units": 5}, (5,), 4 * 5 * 10, 9 * 200),
        ("gru", (9, 4), {"units": 5, "return_sequences": True}, (9, 5), 3 * 5 * 11, 9 * 165),
        ("lstm", (9, 4), {"units": 5, "bidirectional": True}, (10,), 400, 9 * 400),
        # Gate and proposal of node 0 from 4 channels and 5 states, of two nodes from 5 each; the
        # first step has no state.
        (
            "darts_rnn",
            (9, 4),
            {"units": 5, "cell": (("tanh", 0), ("relu", 1))},
            (9, 5),
            2 * 5 * (9 + 10),
            9 * 190 - 2 * 5 * 5,
        ),
        # Three projections to 2 x 3 channels and one back, each with a bias; then every step
        # meets every other, twice.
        (
            "multi_head_attention",
            (9, 4),
            {"num_heads": 2, "key_dim": 3},
            (9, 4),
            3 * 5 * 6 + 7 * 4,
            9 * 118 + 2 * 81 * 6,
        ),
        # The last step and all steps to 5 units, these with a bias, and to a score.
        (
            "additive_attention_pooling",
            (9, 4),
            {"units": 5},
            (4,),
            20 + 25 + 5,
            20 + 9 * 25 + 9 * 5 + 9 * 4,
        ),
        ("multiplicative_attention_pooling", (9, 4), {}, (4,), 16, 16 + 9 * 4 + 9 * 4),
        ("position_embedding", (9, 4), {}, (9, 4), 36, 0),
        ("class_token", (9, 4), {}, (10, 4), 4, 0),
    ],
)
def test_shapes_and_counts(
    op: str,
    shape: tuple[int, ...],
    attributes: dict[str, Any],
    output: tuple[int, ...],
    params: int,
    macs: int,
) -> None:
    graph = chain(shape, (op, attributes))
    assert (graph.output_shape, graph.params, graph.macs) == (output, params, macs)
    assert graph.non_trainable_params == 0
    assert ArchitectureGraph.from_json(graph.to_json()) == graph
    # What is exported has as many weights.
    arrays = random_weights(graph).values()
    assert sum(array.size for layer in arrays for array in layer.values()) == params


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("conv1d", {"filters": 4, "kernel_size": 3}),
        ("lstm", {"units": 4}),
        ("global_max_pooling1d", {}),
        ("multi_head_attention", {"num_heads": 2, "key_dim": 3}),
        ("class_token", {}),
    ],
)
@pytest.mark.parametrize("shape", [(9,), (9, 9, 3)])
def test_only_sequences_are_taken(
    op: str, attributes: dict[str, Any], shape: tuple[int, ...]
) -> None:
    with pytest.raises(InfeasibleArchitectureError, match=r"\(steps, channels\), got"):
        chain(shape, (op, attributes))


def test_windows_must_fit() -> None:
    valid = {"kernel_size": 5, "dilation_rate": 2, "padding": "valid", "filters": 3}
    with pytest.raises(InfeasibleArchitectureError, match=r"window of 9 .* 8 steps"):
        chain((8, 2), ("conv1d", valid))
    with pytest.raises(InfeasibleArchitectureError, match="empty output shape"):
        chain((8, 2), ("cropping1d", {"cropping": (4, 4)}))


@pytest.mark.parametrize(
    ("op", "attributes", "message"),
    [
        ("conv1d", {"filters": 4, "kernel_size": (3, 3)}, "kernel_size must be a positive integer"),
        ("max_pooling1d", {"pool_size": 2, "padding": "causal"}, "same, valid, got 'causal'"),
        ("lstm", {"units": 0}, "units must be a positive integer, got 0"),
        ("lstm", {"units": 4, "bidirectional": 1}, "bidirectional must be True or False"),
        ("embedding", {"output_dim": 4}, "needs the attribute 'input_dim'"),
        ("darts_rnn", {"units": 4, "cell": (("tanh", 1),)}, r"node 1 must .* got \('tanh', 1\)"),
    ],
)
def test_attributes_are_checked(op: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(OperationError, match=message):
        chain((9, 4), (op, attributes))


def test_what_reads_the_input_says_whether_it_is_tokens() -> None:
    embedding = ("embedding", {"input_dim": 9, "output_dim": 2})
    assert chain((4,), embedding).reads_tokens
    assert not chain((4,), ("dense", {"units": 2})).reads_tokens
    assert not chain((4,), ("activation", {"function": "relu"}), embedding).reads_tokens


def test_pools_without_weights_are_one_value() -> None:
    def twice(*pools: str) -> ArchitectureGraph:
        builder = GraphBuilder((9, 4))
        read = builder.add("conv1d", {"filters": 4, "kernel_size": 3}, ["input"])
        branches = [builder.add(pool, {}, [read]) for pool in pools]
        return builder.graph(builder.add("dense", {"units": 2}, [builder.add("add", {}, branches)]))

    average, maximum = "global_average_pooling1d", "global_max_pooling1d"
    assert twice(average, maximum).canonical_id == twice(maximum, average).canonical_id
    assert twice(average, average).canonical_id != twice(average, maximum).canonical_id


def test_averages_are_linear() -> None:
    def graph(first: bool) -> ArchitectureGraph:
        builder = GraphBuilder((9, 4))
        pool: tuple[str, dict[str, Any]] = ("average_pooling1d", {"pool_size": 3})
        read = [
            builder.add("conv1d", {"filters": 4, "kernel_size": size}, ["input"]) for size in (1, 3)
        ]
        if first:
            output = builder.add("add", {}, [builder.add(*pool, [x]) for x in read])
        else:
            output = builder.add(*pool, [builder.add("add", {}, read)])
        return builder.graph(output)

    assert graph(True).canonical_id == graph(False).canonical_id


def test_a_recurrent_layer_reads_channels_in_any_order() -> None:
    def graph(*sizes: int) -> ArchitectureGraph:
        builder = GraphBuilder((9, 4))
        parts = [
            builder.add("conv1d", {"filters": 4, "kernel_size": size}, ["input"]) for size in sizes
        ]
        joined = builder.add("concatenate", {}, parts)
        return builder.graph(builder.add("gru", {"units": 3}, [joined]))

    assert graph(1, 3).canonical_id == graph(3, 1).canonical_id
    assert graph(1, 3).canonical_id != graph(1, 1).canonical_id


def test_zeros_stay_zeros() -> None:
    builder = GraphBuilder((9, 4))
    value = builder.add("zero", {}, ["input"])
    for op, attributes in (
        ("conv1d", {"filters": 4, "kernel_size": 3}),
        ("average_pooling1d", {"pool_size": 2}),
        ("cropping1d", {"cropping": (1, 1)}),
        ("global_max_pooling1d", {}),
    ):
        value = builder.add(op, attributes, [value])
    average = builder.add("global_average_pooling1d", {}, ["input"])
    graph = builder.graph(builder.add("add", {}, [average, value]))
    assert [layer.op for layer in graph.pruned().layers] == ["input", "global_average_pooling1d"]
