"""Attention over the steps of a sequence, and what transformers add to one.

Multiply-accumulates are those of the matrix products, the weighted sum among them; scaling,
softmax and tanh count as none.
"""

from __future__ import annotations

from collections.abc import Sequence

from optuna_nas.graph.operations import (
    REQUIRED,
    Attributes,
    Operation,
    Shape,
    ShapeRule,
    register_operation,
)
from optuna_nas.graph.sequences import sequence


def _kept(operation: str) -> ShapeRule:
    return lambda _attributes, inputs: sequence(operation, inputs)


def _context(operation: str) -> ShapeRule:
    return lambda _attributes, inputs: (sequence(operation, inputs)[1],)


# --- multi-head self-attention (Vaswani et al. 2017) ------------------------------------------


def _heads_params(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    channels, width = inputs[0][-1], attributes["num_heads"] * attributes["key_dim"]
    # Queries, keys and values; then the projection of all heads back to the channels.
    return int(3 * (channels + 1) * width + (width + 1) * channels)


def _heads_macs(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    steps, width = inputs[0][0], attributes["num_heads"] * attributes["key_dim"]
    # Every query meets every key, and the weights meet every value.
    return int(steps * _heads_params(attributes, inputs) + 2 * steps * steps * width)


# --- attention of one query, the last step ----------------------------------------------------


def _additive_params(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    channels, units = inputs[0][-1], attributes["units"]
    return int(2 * channels * units + 2 * units)


def _additive_macs(attributes: Attributes, inputs: Sequence[Shape]) -> int:
    (steps, channels), units = inputs[0], attributes["units"]
    query, keys, scores = channels * units, steps * (channels + 1) * units, steps * units
    return int(query + keys + scores + steps * channels)


def _multiplicative_macs(_attributes: Attributes, inputs: Sequence[Shape]) -> int:
    steps, channels = inputs[0]
    return channels * channels + 2 * steps * channels


for _operation in (
    Operation(
        "multi_head_attention",
        _kept("multi_head_attention"),
        _heads_params,
        macs=_heads_macs,
        defaults={"num_heads": REQUIRED, "key_dim": REQUIRED},
    ),
    Operation(
        "additive_attention_pooling",
        _context("additive_attention_pooling"),
        _additive_params,
        macs=_additive_macs,
        defaults={"units": REQUIRED},
    ),
    Operation(
        "multiplicative_attention_pooling",
        _context("multiplicative_attention_pooling"),
        lambda _, i: i[0][-1] ** 2,
        macs=_multiplicative_macs,
        defaults={},
    ),
    Operation(
        "position_embedding",
        _kept("position_embedding"),
        lambda _, i: i[0][0] * i[0][1],
        defaults={},
    ),
    Operation(
        "class_token",
        lambda _, i: (sequence("class_token", i)[0] + 1, i[0][1]),
        lambda _, i: i[0][-1],
        defaults={},
    ),
):
    register_operation(_operation)
