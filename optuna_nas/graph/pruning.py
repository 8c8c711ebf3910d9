"""Removing what can't change a network's output, exactly.

Unlike the canonical identity, pruning keeps constants: a batch normalisation that reads zeros
still adds its offset, so it stays.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from optuna_nas.graph.operations import ACTIVATIONS

if TYPE_CHECKING:
    from optuna_nas.graph.architecture import ArchitectureGraph, LayerSpec

_ZERO_AT_ZERO = ACTIVATIONS - {"hard_sigmoid", "sigmoid", "softplus", "softmax"}
_KEEPS_ZERO = frozenset(
    [
        "add",
        "concatenate",
        "identity",
        "dropout",
        "flatten",
        "reshape",
        "zero_padding2d",
        "cropping1d",
        "cropping2d",
        "slice_channels",
        "max_pooling1d",
        "average_pooling1d",
        "global_average_pooling1d",
        "global_max_pooling1d",
        "max_pooling2d",
        "average_pooling2d",
        "global_average_pooling2d",
        "global_max_pooling2d",
    ]
)


def is_identity(layer: LayerSpec) -> bool:
    """Whether a layer of one input returns that input."""
    if layer.op == "activation":
        return bool(layer.attributes["function"] == "linear")
    if layer.op in ("add", "multiply", "concatenate"):
        return len(layer.inputs) == 1
    return layer.op == "identity"


def _keeps_zero(layer: LayerSpec) -> bool:
    """Whether zeros in give exactly zeros out, whatever the weights."""
    if layer.op == "activation":
        return layer.attributes["function"] in _ZERO_AT_ZERO
    if layer.op in ("conv1d", "conv2d", "depthwise_conv2d", "dense"):
        return not layer.attributes["use_bias"]
    return layer.op in _KEEPS_ZERO


def gives_zero(layer: LayerSpec, inputs: tuple[str, ...], zero: Collection[str]) -> bool:
    """Whether a layer is exactly zero, whatever the weights, where the layers ``zero`` are."""
    if layer.op == "multiply":
        return any(name in zero for name in inputs)
    if layer.op == "zero":
        return True
    return bool(inputs) and _keeps_zero(layer) and all(name in zero for name in inputs)


def pruned_layers(graph: ArchitectureGraph) -> tuple[list[LayerSpec], str]:
    """Layers of ``graph`` that matter, rewired, and the name of its output."""
    alias: dict[str, str] = {}  # layer -> the layer whose value it has
    zero: set[str] = set()  # layers that are exactly zero
    kept: dict[str, LayerSpec] = {}
    first: dict[tuple[int, ...], str] = {}  # shape -> the first layer kept that has it
    zeros: dict[tuple[int, ...], str] = {}  # shape -> the first that is zero
    for layer in graph.layers:
        inputs = tuple(alias[name] for name in layer.inputs)
        if gives_zero(layer, inputs, zero):
            zero.add(layer.name)
        if layer.op == "add":
            inputs = tuple(name for name in inputs if name not in zero) or inputs[:1]
        candidate = layer if inputs == layer.inputs else replace(layer, inputs=inputs)
        if is_identity(candidate):
            alias[layer.name] = inputs[0]
            continue
        shape = graph.shapes[layer.name]
        if layer.name in zero:
            # Zeros of one shape are one value, whatever they were made of.
            if shape in zeros:
                alias[layer.name] = zeros[shape]
                continue
            zeros[shape] = layer.name
            if layer.op == "zero":
                candidate = replace(layer, inputs=(first[shape],))
        first.setdefault(shape, layer.name)
        alias[layer.name] = layer.name
        kept[layer.name] = candidate
    output = alias[graph.output]
    needed, stack = {graph.layers[0].name}, [output]
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack.extend(kept[name].inputs)
    return [layer for name, layer in kept.items() if name in needed], output
