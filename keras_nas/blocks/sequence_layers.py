"""The Keras layers of operations on sequences.

What is no single layer of Keras is a small model of several, nested in the network like a layer, so
that a saved network needs Keras alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_nas._keras import keras
from keras_nas.blocks.builders import Builder, plain
from optuna_nas.graph import Shape

_layers = keras.layers


def _recurrent(make: Callable[..., Any]) -> Builder:
    def build(name: str, attributes: Mapping[str, Any], _inputs: Sequence[Shape]) -> Any:
        arguments = {key: attributes[key] for key in ("units", "return_sequences")}
        if attributes["bidirectional"]:
            return _layers.Bidirectional(make(**arguments), name=name)
        return make(name=name, **arguments)

    return build


def _darts_rnn(name: str, attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> Any:
    (steps, channels), units = inputs[0], attributes["units"]
    step, state = keras.Input((channels,), name="step"), keras.Input((units,), name="state")

    def gated(before: Any, both: Any, function: str) -> Any:
        # s = s' + c * (f(h) - s'), c = sigmoid of the first half of ``both`` and h the second
        gate, new = keras.ops.split(both, 2, axis=-1)
        new = _layers.Activation(function)(new)
        return before + keras.ops.sigmoid(gate) * (new - before)

    def dense(name: str) -> Any:
        return _layers.Dense(2 * units, use_bias=False, name=name)

    nodes = [gated(state, dense("first")(keras.ops.concatenate([step, state], axis=-1)), "tanh")]
    for position, (function, source) in enumerate(attributes["cell"]):
        both = dense(f"node{position}_{function}_{source}")(nodes[source])
        nodes.append(gated(nodes[source], both, function))
    mean = keras.ops.mean(keras.ops.stack(nodes[1:]), axis=0)
    cell = keras.Model([step, state], mean, name="cell")

    # The same cell, step after step: Keras's own loop wants a class in place of layers.
    x = keras.Input(inputs[0], name="steps")
    taken = keras.ops.unstack(x, steps, axis=1)
    last = keras.ops.zeros_like(keras.ops.repeat(taken[0][:, :1], units, axis=-1))
    states = [last := cell([one, last]) for one in taken]
    return keras.Model(x, keras.ops.stack(states, axis=1), name=name)


def _multi_head_attention(name: str, attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> Any:
    x = keras.Input(inputs[0])
    attention = _layers.MultiHeadAttention(name="attention", **attributes)
    return keras.Model(x, attention(x, x), name=name)


def _last_step(x: Any) -> Any:
    """Shape (batch, 1, channels)."""
    return _layers.Cropping1D((x.shape[1] - 1, 0), name="last_step")(x)


def _weighted_sum(scores: Any, x: Any) -> Any:
    """Sum over the steps of ``x``, by the softmax of scores of shape (batch, steps, 1)."""
    softmax = _layers.Softmax(axis=1, name="weights")
    if x.shape[1] == 1:
        # That of a single score is 1, whatever the score; Keras would warn of it at every call.
        softmax = _layers.Rescaling(0.0, 1.0, name="weights")
    weights = softmax(scores)
    context = _layers.Dot(axes=1, name="context")([weights, x])
    return _layers.Reshape((x.shape[-1],), name="vector")(context)


def _additive(name: str, attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> Any:
    x = keras.Input(inputs[0])
    query = _layers.Dense(attributes["units"], use_bias=False, name="query")(_last_step(x))
    keys = _layers.Dense(attributes["units"], name="keys")(x)
    met = _layers.Activation("tanh", name="tanh")(_layers.Add(name="met")([query, keys]))
    scores = _layers.Dense(1, use_bias=False, name="scores")(met)
    return keras.Model(x, _weighted_sum(scores, x), name=name)


def _multiplicative(name: str, _attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> Any:
    x = keras.Input(inputs[0])
    query = _layers.Dense(x.shape[-1], use_bias=False, name="query")(_last_step(x))
    scores = _layers.Dot(axes=2, name="scores")([x, query])
    return keras.Model(x, _weighted_sum(scores, x), name=name)


def _position_embedding(name: str, _attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> Any:
    x = keras.Input(inputs[0])
    # Keras has no layer that adds a weight; the positions 0, 1, ... are made from the input, for a
    # layer must read it to be a part of the network.
    ones = keras.ops.ones_like(keras.ops.max(x, axis=-1), dtype="int32")
    positions = keras.ops.cumsum(ones, axis=1) - 1
    embedded = _layers.Embedding(*inputs[0], name="positions")(positions)
    return keras.Model(x, _layers.Add(name="sum")([x, embedded]), name=name)


def _class_token(name: str, _attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> Any:
    x = keras.Input(inputs[0])
    zeros = keras.ops.zeros_like(keras.ops.max(x, axis=(1, 2)), dtype="int32")
    token = _layers.Embedding(1, inputs[0][-1], name="token")(zeros)
    token = _layers.Reshape((1, inputs[0][-1]), name="step")(token)
    return keras.Model(x, _layers.Concatenate(axis=1, name="joined")([token, x]), name=name)


SEQUENCE_BUILDERS: dict[str, Builder] = {
    "embedding": plain(_layers.Embedding),
    "conv1d": plain(_layers.Conv1D, data_format="channels_last"),
    "max_pooling1d": plain(_layers.MaxPooling1D, data_format="channels_last"),
    "average_pooling1d": plain(_layers.AveragePooling1D, data_format="channels_last"),
    "global_average_pooling1d": plain(_layers.GlobalAveragePooling1D, data_format="channels_last"),
    "global_max_pooling1d": plain(_layers.GlobalMaxPooling1D, data_format="channels_last"),
    "cropping1d": plain(_layers.Cropping1D),
    "lstm": _recurrent(_layers.LSTM),
    "gru": _recurrent(_layers.GRU),
    "darts_rnn": _darts_rnn,
    "multi_head_attention": _multi_head_attention,
    "additive_attention_pooling": _additive,
    "multiplicative_attention_pooling": _multiplicative,
    "position_embedding": _position_embedding,
    "class_token": _class_token,
}
