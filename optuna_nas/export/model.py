"""`write_onnx`: an architecture graph and its weights become an .onnx file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from optuna_nas.errors import ExportError
from optuna_nas.export._onnx import require_onnx
from optuna_nas.export.preprocessing import Preprocessing
from optuna_nas.export.rules import rule_for
from optuna_nas.export.weights import Weights, checked_weights, random_weights
from optuna_nas.export.writer import Writer
from optuna_nas.graph import ArchitectureGraph

DEFAULT_OPSET = 20
"""Has Gelu and LayerNormalization; read by ONNX Runtime 1.17 (2024) and later."""

MIN_OPSET = 17
PRODUCER = "optuna-nas"
_PROTOBUF_LIMIT = 2**31 - 2**20


def write_onnx(
    graph: ArchitectureGraph,
    path: str | os.PathLike[str],
    *,
    weights: Weights | None = None,
    seed: int = 0,
    batch: int | None = 1,
    preprocessing: Preprocessing | None = None,
    softmax: bool = False,
    opset: int = DEFAULT_OPSET,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Writes a graph as an .onnx file; same arguments, same bytes.

    The model takes raw features in Keras's shape, (batch, *graph.input_shape), under the name of
    the graph's input layer: in float32, or in int64 where embeddings alone read them. Inside it
    works channels-first, with batch normalisations folded into the layer before them where that
    has no other reader, and without what can't change the output.

    Args:
        graph: The architecture.
        path: Where to; an existing file is replaced, and left alone when writing fails.
        weights: Layer name -> weight name -> array in Keras's layout: "kernel", "bias", "gamma",
            "beta", "moving_mean", "moving_variance". None: random ones, for measuring.
        seed: Of random weights.
        batch: Size of the batch axis, or None to leave it free.
        preprocessing: Put before the network.
        softmax: End in a softmax over the last axis, named "probabilities".
        opset: Version of ONNX's operator set, at least 17.
        metadata: Kept in the file as its metadata properties.

    Returns:
        The path.

    Raises:
        ExportError: `onnx` is missing, weights are missing or have wrong shapes, the model passes
            2 GiB, or the file can't be written.
        UnsupportedOperationError: An operation has no rule; see `register_rule`.
    """
    content = onnx_bytes(
        graph,
        weights=weights,
        seed=seed,
        batch=batch,
        preprocessing=preprocessing,
        softmax=softmax,
        opset=opset,
        metadata=metadata,
    )
    return replace_file(path, content)


def onnx_bytes(
    graph: ArchitectureGraph,
    *,
    weights: Weights | None = None,
    seed: int = 0,
    batch: int | None = 1,
    preprocessing: Preprocessing | None = None,
    softmax: bool = False,
    opset: int = DEFAULT_OPSET,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """As `write_onnx`, in memory: the serialized model."""
    onnx = require_onnx()
    if batch is not None and batch < 1:
        raise ExportError(f"batch: expected at least 1, or None for a free axis, got {batch}")
    if opset < MIN_OPSET:
        raise ExportError(f"opset: expected at least {MIN_OPSET}, got {opset}", opset)
    live = _without_dropout(graph).pruned()
    values = random_weights(live, seed=seed) if weights is None else checked_weights(live, weights)
    if sum(array.nbytes for layer in values.values() for array in layer.values()) > _PROTOBUF_LIMIT:
        raise ExportError(
            f"the weights of {live.params:,} parameters pass the 2 GiB an .onnx file can hold; "
            "limit the size of the network",
            live.params,
        )
    tokens = live.reads_tokens and (preprocessing is None or preprocessing.is_neutral)
    writer = Writer(live, values, opset=opset, tokens=tokens)
    output = _write_layers(writer, preprocessing, softmax)

    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    taken = onnx.TensorProto.INT64 if tokens else floats
    axis = "batch" if batch is None else batch
    body = helper.make_graph(
        writer.nodes,
        "architecture",
        [helper.make_tensor_value_info(live.layers[0].name, taken, [axis, *live.input_shape])],
        [helper.make_tensor_value_info(output, floats, [axis, *live.output_shape])],
        writer.initializers,
    )
    return serialized(body, opset=opset, metadata=metadata)


def serialized(
    body: Any, *, opset: int = DEFAULT_OPSET, metadata: Mapping[str, str] | None = None
) -> bytes:
    """A model of an `onnx.GraphProto`; the same graph, the same bytes."""
    helper = require_onnx().helper
    model = helper.make_model(
        body, opset_imports=[helper.make_opsetid("", opset)], producer_name=PRODUCER
    )
    # The oldest format that has this operator set, so that older runtimes read it too.
    model.ir_version = helper.find_min_ir_version_for(model.opset_import)
    helper.set_model_props(model, dict(sorted((metadata or {}).items())))
    return bytes(model.SerializeToString(deterministic=True))


def replace_file(path: str | os.PathLike[str], content: bytes) -> Path:
    """Writes a file whole or not at all.

    Raises:
        ExportError: It can't be written; what was there before is untouched.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ExportError(
            f"path: can't write {os.fspath(target)!r} ({error.strerror or error}); "
            "choose a folder that exists and has room",
            path,
        ) from error
    return target


def _without_dropout(graph: ArchitectureGraph) -> ArchitectureGraph:
    layers = [
        replace(layer, op="identity", attributes={}) if layer.op == "dropout" else layer
        for layer in graph.layers
    ]
    return ArchitectureGraph(layers, graph.output)


def _write_layers(writer: Writer, preprocessing: Preprocessing | None, softmax: bool) -> str:
    """Writes all layers; returns the name of the output tensor."""
    graph = writer.graph
    source = graph.layers[0]
    writer.put(source, _preprocessed(writer, writer.unique(source.name), preprocessing))
    for layer in graph.layers[1:]:
        rule_for(layer).write(writer, layer)
    tensor = writer.read(graph.output)
    if softmax:
        return writer.node("Softmax", [tensor], "probabilities", axis=-1)
    produced = any(tensor in node.output for node in writer.nodes)
    if not produced:  # a network that returns its input
        return writer.node("Identity", [tensor], "output")
    return tensor


def _preprocessed(writer: Writer, tensor: str, preprocessing: Preprocessing | None) -> str:
    if preprocessing is None:
        return tensor
    channels = writer.graph.input_shape[-1]
    steps: list[tuple[str, str, Any, float]] = [
        ("Sub", "mean", preprocessing.mean, 0.0),
        ("Mul", "scale", preprocessing.scale, 1.0),
    ]
    for kind, name, value, neutral in steps:
        if value.ndim and value.shape != (channels,):
            raise ExportError(
                f"preprocessing: {name} has {value.size} values, the input {channels} channels",
                value.shape,
            )
        if np.any(value != neutral):
            constant = writer.constant(value, f"preprocessing/{name}")
            tensor = writer.node(kind, [tensor, constant], f"preprocessing/{kind.lower()}")
    return tensor
