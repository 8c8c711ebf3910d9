"""Operations that `keras_nas.blocks` makes of several Keras layers, in a nested model.

They are known by that model's wiring: it must be the very one that would be built again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_nas.blocks import make_layer
from keras_nas.layer_rules import Step, to_numpy
from keras_nas.sequence_rules import Weights, heads_attributes, heads_weights, weights_of
from optuna_nas.graph import LayerSpec


@dataclass(frozen=True)
class _Composite:
    """An operation that is a nested model in Keras.

    Args:
        op: The operation.
        inside: Names and classes of layers by which the model may be one.
        attributes: Of the operation, by the layers called so.
        weights: Likewise.
    """

    op: str
    inside: Mapping[str, str]
    attributes: Callable[[Any], dict[str, Any]]
    weights: Callable[[Any], Weights]


def _embeddings(name: str) -> Callable[[Any], Weights]:
    return lambda layer: weights_of(embeddings=layer(name).embeddings)


_NODE = re.compile(r"node(\d+)_(\w+)_(\d+)")  # position, activation, node that is read


def _searched_nodes(cell: Any) -> list[tuple[int, str, int, Any]]:
    """Position, activation, source and dense layer of every node, in order."""
    found = ((_NODE.fullmatch(layer.name), layer) for layer in cell.layers)
    nodes = [(int(m[1]), m[2], int(m[3]), layer) for m, layer in found if m]
    return sorted(nodes, key=lambda node: node[0])


def _searched_attributes(cell: Any) -> dict[str, Any]:
    nodes = _searched_nodes(cell)
    units = nodes[0][-1].units // 2 if nodes else 1
    return {"units": units, "cell": tuple((function, read) for _, function, read, _ in nodes)}


def _searched_weights(cell: Any) -> Weights:
    kernels = np.stack([to_numpy(layer.kernel) for *_, layer in _searched_nodes(cell)])
    return {**weights_of(first_kernel=cell.get_layer("first").kernel), "nodes_kernel": kernels}


_COMPOSITES = (
    _Composite(
        "darts_rnn",
        {"steps": "InputLayer", "cell": "Functional"},
        lambda layer: _searched_attributes(layer("cell")),
        lambda layer: _searched_weights(layer("cell")),
    ),
    _Composite(
        "multi_head_attention",
        {"attention": "MultiHeadAttention"},
        lambda layer: heads_attributes(layer("attention")),
        lambda layer: heads_weights(layer("attention")),
    ),
    _Composite(
        "additive_attention_pooling",
        {"query": "Dense", "keys": "Dense", "scores": "Dense"},
        lambda layer: {"units": layer("query").units},
        lambda layer: weights_of(
            query_kernel=layer("query").kernel,
            key_kernel=layer("keys").kernel,
            key_bias=layer("keys").bias,
            score_kernel=layer("scores").kernel,
        ),
    ),
    _Composite(
        "multiplicative_attention_pooling",
        {"query": "Dense", "scores": "Dot"},
        lambda _layer: {},
        lambda layer: weights_of(query_kernel=layer("query").kernel),
    ),
    _Composite(
        "position_embedding",
        {"positions": "Embedding"},
        lambda _layer: {},
        _embeddings("positions"),
    ),
    _Composite("class_token", {"token": "Embedding"}, lambda _layer: {}, _embeddings("token")),
)


def composite_step(model: Any) -> Step | None:
    """The operation that a nested model stands for; None where it is one of the user's own."""
    inside = {layer.name: type(layer).__name__ for layer in model.layers}
    for composite in _COMPOSITES:
        if composite.inside.items() <= inside.items():
            attributes = composite.attributes(model.get_layer)
            spec = LayerSpec("again", composite.op, attributes)
            try:
                again = make_layer(spec, [tuple(model.inputs[0].shape[1:])])
            except (ValueError, TypeError, IndexError):  # another model that is called so inside
                continue
            if _wiring(again) == _wiring(model):
                return Step(composite.op, attributes, composite.weights(model.get_layer))
    return None


def _wiring(model: Any) -> Any:
    """A model's layers and what they read, without the names that differ from copy to copy."""
    config = model.get_config()
    numbers = {name: number for number, name in enumerate(_names(config))}

    def nameless(value: Any) -> Any:
        if isinstance(value, Mapping):
            skipped = ("name", "trainable", "build_config")
            return {key: nameless(item) for key, item in value.items() if key not in skipped}
        if not isinstance(value, (list, tuple)):
            return value
        if (
            len(value) == 3 and isinstance(value[0], str) and value[0] in numbers
        ):  # an output of a layer: name and two numbers
            return [numbers[value[0]], *value[1:]]
        return [nameless(item) for item in value]

    return nameless(config)


def _names(config: Mapping[str, Any]) -> Iterator[str]:
    """Names of the layers of a model and of those inside them, in order."""
    for layer in config.get("layers", ()):
        yield layer["name"]
        yield from _names(layer["config"])
