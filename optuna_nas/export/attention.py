"""ONNX rules of attention, and of what transformers add to a sequence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optuna_nas.export.rules import Rule, WeightShapes, register_rule
from optuna_nas.export.writer import Writer
from optuna_nas.graph import LayerSpec, Shape

# --- multi-head self-attention ----------------------------------------------------------------


def _multi_head_attention(writer: Writer, layer: LayerSpec) -> None:
    (source,) = layer.inputs
    x, name = writer.read(source), layer.name
    steps, channels = writer.graph.shapes[source]
    heads, width = layer.attributes["num_heads"], layer.attributes["key_dim"]

    def projected(part: str, scale: float, order: Sequence[int]) -> str:
        """(batch, heads, steps, width), or with the last two the other way round."""
        kernel = writer.weight(layer, f"{part}_kernel").reshape(channels, heads * width)
        bias = writer.weight(layer, f"{part}_bias").reshape(heads * width)
        flat = _affine(writer, x, f"{name}/{part}", kernel * scale, bias * scale)
        split = writer.reshape(flat, [0, steps, heads, width], f"{name}/{part}/heads")
        return writer.node("Transpose", [split], f"{name}/{part}/ordered", perm=order)

    # Scaled here, the scores need no division by the root of the width.
    queries = projected("query", 1 / math.sqrt(width), (0, 2, 1, 3))
    keys = projected("key", 1.0, (0, 2, 3, 1))
    values = projected("value", 1.0, (0, 2, 1, 3))
    scores = writer.node("MatMul", [queries, keys], f"{name}/scores")
    weights = writer.node("Softmax", [scores], f"{name}/weights", axis=-1)
    context = writer.node("MatMul", [weights, values], f"{name}/context")
    together = writer.node("Transpose", [context], f"{name}/together", perm=(0, 2, 1, 3))
    flat = writer.reshape(together, [0, steps, heads * width], f"{name}/flat")
    kernel = writer.weight(layer, "output_kernel").reshape(heads * width, channels)
    writer.put(layer, _affine(writer, flat, name, kernel, writer.weight(layer, "output_bias")))


def _affine(
    writer: Writer, x: str, name: str, kernel: np.ndarray, bias: np.ndarray | None = None
) -> str:
    matrix = writer.constant(kernel.astype(np.float32), f"{name}/kernel")
    if bias is None:
        return writer.node("MatMul", [x, matrix], name)
    product = writer.node("MatMul", [x, matrix], f"{name}/product")
    return writer.node(
        "Add", [product, writer.constant(bias.astype(np.float32), f"{name}/bias")], name
    )


def _heads_weights(attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> WeightShapes:
    heads, channels = (attributes["num_heads"], attributes["key_dim"]), inputs[0][-1]
    shapes: WeightShapes = {}
    for part in ("query", "key", "value"):
        shapes |= {f"{part}_kernel": (channels, *heads), f"{part}_bias": heads}
    return {**shapes, "output_kernel": (*heads, channels), "output_bias": (channels,)}


# --- attention of the last step ---------------------------------------------------------------


def _last_step(writer: Writer, layer: LayerSpec, x: str) -> str:
    """(batch, 1, channels)."""
    index = writer.constant(np.array([-1], np.int64), f"{layer.name}/last")
    return writer.node("Gather", [x, index], f"{layer.name}/last_step", axis=1)


def _weighted_sum(writer: Writer, layer: LayerSpec, scores: str, x: str) -> None:
    """Puts the sum over the steps of ``x`` by the softmax of scores, (batch, steps, 1)."""
    name, (steps, channels) = layer.name, writer.graph.shapes[layer.inputs[0]]
    row = writer.reshape(scores, [0, 1, steps], f"{name}/row")
    weights = writer.node("Softmax", [row], f"{name}/weights", axis=-1)
    context = writer.node("MatMul", [weights, x], f"{name}/context")
    writer.put(layer, writer.reshape(context, [0, channels], name))


def _additive(writer: Writer, layer: LayerSpec) -> None:
    # score = v . tanh(W q + U h + b), Bahdanau et al. 2015, appendix A.1.2
    x, name = writer.read(layer.inputs[0]), layer.name
    kernel = {part: writer.weight(layer, f"{part}_kernel") for part in ("query", "key", "score")}
    query = _affine(writer, _last_step(writer, layer, x), f"{name}/query", kernel["query"])
    keys = _affine(writer, x, f"{name}/keys", kernel["key"], writer.weight(layer, "key_bias"))
    met = writer.node("Add", [query, keys], f"{name}/met")
    bent = writer.node("Tanh", [met], f"{name}/tanh")
    _weighted_sum(writer, layer, _affine(writer, bent, f"{name}/scores", kernel["score"]), x)


def _additive_weights(attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> WeightShapes:
    channels, units = inputs[0][-1], attributes["units"]
    return {
        "query_kernel": (channels, units),
        "key_kernel": (channels, units),
        "key_bias": (units,),
        "score_kernel": (units, 1),
    }


def _multiplicative(writer: Writer, layer: LayerSpec) -> None:
    # score = q W h, Luong et al. 2015, eq. 8 ("general")
    x, name = writer.read(layer.inputs[0]), layer.name
    kernel = writer.weight(layer, "query_kernel")
    query = _affine(writer, _last_step(writer, layer, x), f"{name}/query", kernel)
    column = writer.reshape(query, [0, len(kernel), 1], f"{name}/column")
    _weighted_sum(writer, layer, writer.node("MatMul", [x, column], f"{name}/scores"), x)


def _multiplicative_weights(
    _attributes: Mapping[str, Any], inputs: Sequence[Shape]
) -> WeightShapes:
    return {"query_kernel": (inputs[0][-1], inputs[0][-1])}


# --- positions and the class token ------------------------------------------------------------


def _position_embedding(writer: Writer, layer: LayerSpec) -> None:
    table = writer.constant(writer.weight(layer, "embeddings"), f"{layer.name}/embeddings")
    writer.put(layer, writer.node("Add", [writer.read(layer.inputs[0]), table], layer.name))


def _class_token(writer: Writer, layer: LayerSpec) -> None:
    # A step of zeros in front, to which the token is added: no size of a batch is needed.
    name, (steps, channels) = layer.name, writer.graph.shapes[layer.name]
    pads = writer.constant(np.array([0, 1, 0, 0, 0, 0], np.int64), f"{name}/pads")
    padded = writer.node("Pad", [writer.read(layer.inputs[0]), pads], f"{name}/padded")
    token = np.zeros((steps, channels), np.float32)
    token[0] = writer.weight(layer, "embeddings")[0]
    writer.put(layer, writer.node("Add", [padded, writer.constant(token, f"{name}/token")], name))


register_rule("multi_head_attention", Rule(_multi_head_attention, _heads_weights))
register_rule("additive_attention_pooling", Rule(_additive, _additive_weights))
register_rule("multiplicative_attention_pooling", Rule(_multiplicative, _multiplicative_weights))
register_rule("position_embedding", Rule(_position_embedding, lambda _, i: {"embeddings": i[0]}))
register_rule("class_token", Rule(_class_token, lambda _, i: {"embeddings": (1, i[0][-1])}))
