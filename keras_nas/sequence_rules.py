"""Keras layers on sequences as steps of an architecture graph.

Operations that are several Keras layers are in `keras_nas.composite_rules`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_nas.layer_rules import Converted, Rule, Step, activation_steps, refuse, to_numpy

Weights = dict[str, np.ndarray]


def weights_of(**variables: Any) -> Weights:
    """Variables as arrays."""
    return {name: to_numpy(variable) for name, variable in variables.items()}


def _embedding(layer: Any, _node: Any) -> Converted:
    if layer.mask_zero:
        raise refuse(layer, "mask_zero=True")
    attributes = {"input_dim": layer.input_dim, "output_dim": layer.output_dim}
    return [Step("embedding", attributes, weights_of(embeddings=layer.embeddings))]


def _channels_last(layer: Any) -> None:
    if layer.data_format != "channels_last":
        raise refuse(layer, "data_format='channels_first'")


def _window(layer: Any, window: str) -> dict[str, Any]:
    _channels_last(layer)
    sizes = {key: tuple(np.atleast_1d(getattr(layer, key)).tolist()) for key in (window, "strides")}
    return {**sizes, "padding": layer.padding}


def _conv1d(layer: Any, _node: Any) -> Converted:
    if layer.groups != 1:
        raise refuse(layer, f"groups={layer.groups}")
    attributes = {
        **_window(layer, "kernel_size"),
        "filters": layer.filters,
        "dilation_rate": tuple(layer.dilation_rate),
        "use_bias": bool(layer.use_bias),
    }
    biases = {"bias": layer.bias} if layer.use_bias else {}
    convolution = Step("conv1d", attributes, weights_of(kernel=layer.kernel, **biases))
    return [convolution, *activation_steps(layer, layer.activation, suffix="_activation")]


def _pool(op: str) -> Rule:
    return lambda layer, _node: [Step(op, _window(layer, "pool_size"))]


def _global_pool(op: str) -> Rule:
    def rule(layer: Any, node: Any) -> Converted:
        _channels_last(layer)
        if not layer.keepdims:
            return [Step(op)]
        shape = (1, node.input_tensors[0].shape[-1])
        return [Step(op), Step("reshape", {"target_shape": shape}, suffix="_keepdims")]

    return rule


def _cropping1d(layer: Any, _node: Any) -> Converted:
    return [Step("cropping1d", {"cropping": tuple(layer.cropping)})]


# --- recurrence -------------------------------------------------------------------------------

# What the graph's recurrent layers are, in the words of Keras's arguments.
_RECURRENT = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "use_bias": True,
    "reset_after": True,
    "return_state": False,
    "stateful": False,
}


def _one_way(layer: Any) -> Weights:
    config = layer.get_config()
    for key, expected in _RECURRENT.items():
        if config.get(key, expected) != expected:
            raise refuse(layer, f"{key}={config[key]!r}")
    cell = layer.cell
    return weights_of(kernel=cell.kernel, recurrent_kernel=cell.recurrent_kernel, bias=cell.bias)


def _only_input(layer: Any, node: Any) -> None:
    given = [key for key, value in node.arguments.kwargs.items() if value is not None]
    if len(node.input_tensors) > 1 or {"mask", "initial_state"} & set(given):
        raise refuse(layer, "a mask or an initial state")


def _recurrent(op: str) -> Rule:
    def rule(layer: Any, node: Any) -> Converted:
        _only_input(layer, node)
        if layer.go_backwards:
            raise refuse(layer, "go_backwards=True")
        return [Step(op, _states(layer, bidirectional=False), _one_way(layer))]

    return rule


def _states(layer: Any, *, bidirectional: bool) -> dict[str, Any]:
    return {
        "units": layer.units,
        "return_sequences": bool(layer.return_sequences),
        "bidirectional": bidirectional,
    }


def _bidirectional(layer: Any, node: Any) -> Converted:
    _only_input(layer, node)
    forward, backward = layer.forward_layer, layer.backward_layer
    kind = type(forward).__name__
    if kind not in ("LSTM", "GRU") or type(backward) is not type(forward):
        raise refuse(layer, f"a layer of kind {kind}")
    if layer.merge_mode != "concat" or forward.go_backwards or backward.units != forward.units:
        raise refuse(layer, "another merge than concat of two equal layers")
    ways = {"forward": _one_way(forward), "backward": _one_way(backward)}
    weights = {f"{way}_{key}": value for way, own in ways.items() for key, value in own.items()}
    return [Step(kind.lower(), _states(forward, bidirectional=True), weights)]


# --- attention --------------------------------------------------------------------------------


def _multi_head_attention(layer: Any, node: Any) -> Converted:
    if len({id(tensor) for tensor in node.input_tensors}) != 1:
        raise refuse(layer, "attention to anything but its own input, or a mask")
    if any(node.arguments.kwargs.get(key) for key in ("use_causal_mask", "attention_mask")):
        raise refuse(layer, "a mask")
    config = layer.get_config()
    plain = {
        "value_dim": config["key_dim"],
        "use_bias": True,
        "output_shape": None,
        "use_gate": False,
        "sliding_window": None,
    }
    for key, expected in plain.items():
        if config.get(key, expected) != expected:
            raise refuse(layer, f"{key}={config[key]!r}")
    if tuple(config["attention_axes"] or (1,)) != (1,):
        raise refuse(layer, f"attention_axes={config['attention_axes']}")
    attributes, weights = heads_attributes(layer), heads_weights(layer)
    return [Step("multi_head_attention", attributes, weights, reads=1)]


def heads_attributes(layer: Any) -> dict[str, Any]:
    """Attributes of a multi-head attention."""
    return {"num_heads": layer.num_heads, "key_dim": layer.key_dim}


def heads_weights(layer: Any) -> Weights:
    """Weights of a multi-head attention with biases."""
    parts = ("query", "key", "value", "output")
    names = [f"{part}_{kind}" for part in parts for kind in ("kernel", "bias")]
    return weights_of(**dict(zip(names, layer.weights, strict=True)))


SEQUENCE_RULES: dict[str, Rule] = {
    "Embedding": _embedding,
    "Conv1D": _conv1d,
    "MaxPooling1D": _pool("max_pooling1d"),
    "AveragePooling1D": _pool("average_pooling1d"),
    "GlobalAveragePooling1D": _global_pool("global_average_pooling1d"),
    "GlobalMaxPooling1D": _global_pool("global_max_pooling1d"),
    "Cropping1D": _cropping1d,
    "LSTM": _recurrent("lstm"),
    "GRU": _recurrent("gru"),
    "Bidirectional": _bidirectional,
    "MultiHeadAttention": _multi_head_attention,
    "SpatialDropout1D": lambda _layer, _node: [],
}
"""By class name, as `keras_nas.layer_rules.RULES`."""
