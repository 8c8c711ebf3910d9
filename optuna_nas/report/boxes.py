"""What the drawing shows: layers of a graph merged into boxes, as a person would name them.

A convolution with its normalisation and activation is one box; a box holds at most one layer that
transforms the data (convolution, dense, pooling, merge) and at most one of each companion
(padding, normalisation, activation, dropout), in the order of the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna_nas.graph import ArchitectureGraph, LayerSpec
from optuna_nas.report.text import count, product

_COMPANIONS = {
    "batch_normalization": "normalisation",
    "layer_normalization": "normalisation",
    "activation": "activation",
    "dropout": "dropout",
    "zero_padding2d": "padding",
    "cropping2d": "cropping",
    "slice_channels": "slicing",
}
_ALONE = frozenset({"input", "identity", "zero"})
_MERGES = {"add": "Add", "multiply": "Multiply", "concatenate": "Concatenate"}
_TITLES = {
    "input": "Input",
    "identity": "skip",
    "zero": "none",
    "dense": "Dense",
    "lstm": "LSTM",
    "gru": "GRU",
    "conv1d": "Conv",
    "conv2d": "Conv",
    "depthwise_conv2d": "Depthwise conv",
    "max_pooling2d": "Max pool",
    "average_pooling2d": "Average pool",
    "global_average_pooling2d": "Global average pool",
    "global_max_pooling2d": "Global max pool",
    "max_pooling1d": "Max pool",
    "average_pooling1d": "Average pool",
    "global_average_pooling1d": "Global average pool",
    "global_max_pooling1d": "Global max pool",
    "additive_attention_pooling": "Additive attention",
    "multiplicative_attention_pooling": "Multiplicative attention",
    "multi_head_attention": "Multi-head attention",
    "batch_normalization": "Batch norm",
    "layer_normalization": "Layer norm",
    "zero_padding2d": "Zero padding",
    "cropping2d": "Cropping",
    "slice_channels": "First channels",
    **_MERGES,
}
_SHORT = {
    "conv1d": "conv",
    "conv2d": "conv",
    "depthwise_conv2d": "depthwise",
    "batch_normalization": "batch norm",
    "layer_normalization": "layer norm",
    "zero_padding2d": "pad",
    "cropping2d": "crop",
    "slice_channels": "first channels",
    "global_average_pooling2d": "pool",
    "global_max_pooling2d": "pool",
    "max_pooling2d": "pool",
    "average_pooling2d": "pool",
    **dict.fromkeys(("global_average_pooling1d", "global_max_pooling1d"), "pool"),
    **dict.fromkeys(("max_pooling1d", "average_pooling1d"), "pool"),
}
_PASSES_ON = frozenset({"identity", "activation", "add", "multiply", "concatenate"})


@dataclass(frozen=True)
class Box:
    """One box of the drawing.

    Args:
        layers: Names of the graph's layers it stands for, first to last.
        title: The operation, for a person.
        lines: What else it does: order of its layers; stride, groups and the like; output shape
            and trainable parameters. None for pass-through boxes.
        kind: Colour class: convolution, dense, pooling, merge, plain, end or wire.
        dead: Whether it can't influence the network's output.
        inputs: Indices of the boxes it reads, ascending.
        tooltip: Every layer with its attributes.
    """

    layers: tuple[str, ...]
    title: str
    lines: tuple[str, ...]
    kind: str
    dead: bool
    inputs: tuple[int, ...]
    tooltip: str


def live_layers(graph: ArchitectureGraph) -> set[str]:
    """Names of the layers whose values reach the output.

    Pruning also removes identities on a live path; these still count as live here.
    """
    kept = {layer.name for layer in graph.pruned().layers}
    carries: set[str] = set()
    for layer in graph.layers:
        passes = layer.op in _PASSES_ON and any(name in carries for name in layer.inputs)
        if layer.name in kept or passes:
            carries.add(layer.name)
    live = {graph.output, graph.layers[0].name} | kept
    for layer in reversed(graph.layers):
        if layer.name in live:
            live.update(name for name in layer.inputs if name in carries)
    return live


def boxes_of(graph: ArchitectureGraph) -> list[Box]:
    """Merge the layers of a graph into boxes, in topological order."""
    live = live_layers(graph)
    readers = Counter(name for layer in graph.layers for name in set(layer.inputs))
    groups: list[list[LayerSpec]] = []
    group_of: dict[str, int] = {}
    for layer in graph.layers:
        index = group_of[layer.inputs[0]] if len(layer.inputs) == 1 else -1
        if (
            index >= 0
            # After a merge, what only the next layer reads belongs to that one (pre-activation).
            and not (groups[index][-1].op in _MERGES and readers[layer.name] == 1)
            and readers[layer.inputs[0]] == 1
            and groups[index][-1].name == layer.inputs[0]
            and (layer.name in live) == (layer.inputs[0] in live)
            and _role(layer) not in {_role(member) for member in groups[index]}
            and not _ALONE & {layer.op, groups[index][-1].op}
        ):
            groups[index].append(layer)
        else:
            index = len(groups)
            groups.append([layer])
        group_of[layer.name] = index
    return [_box(graph, group, group_of, live) for group in groups]


def _role(layer: LayerSpec) -> str:
    return _COMPANIONS.get(layer.op, "main")


def _box(
    graph: ArchitectureGraph, group: list[LayerSpec], group_of: Mapping[str, int], live: set[str]
) -> Box:
    main = next((layer for layer in group if _role(layer) == "main"), group[-1])
    last = group[-1]
    params = sum(graph.layer_params(layer.name) for layer in group)
    shape = product(graph.shapes[last.name])
    footer = "" if main.op in ("identity", "zero") else shape
    if params:
        footer += f" · {count(params)} params"
    own = group_of[group[0].name]
    return Box(
        layers=tuple(layer.name for layer in group),
        title=_title(main),
        lines=tuple(line for line in (_order(group), _modifiers(main), footer) if line),
        kind="end" if last.name == graph.output and len(graph.layers) > 1 else _kind(main.op),
        dead=group[0].name not in live,
        inputs=tuple(sorted({group_of[name] for name in group[0].inputs} - {own})),
        tooltip="\n".join(_describe(graph, layer) for layer in group),
    )


def _kind(op: str) -> str:
    if op in ("conv1d", "conv2d", "depthwise_conv2d"):
        return "convolution"
    if op in _MERGES:
        return "merge"
    if "pooling" in op:
        return "pooling"
    if op == "input":
        return "end"
    if op in _ALONE:
        return "wire"
    return "dense" if op == "dense" else "plain"


def _title(layer: LayerSpec) -> str:
    get: Mapping[str, Any] = layer.attributes
    title = _TITLES.get(layer.op, layer.op.replace("_", " ").capitalize())
    if layer.op == "activation":
        return str(get.get("function", "activation"))
    if layer.op == "input":
        return title
    window = get.get("kernel_size", get.get("pool_size"))
    if isinstance(window, tuple):
        title += f" {product(window)}"
    if get.get("bidirectional") is True:
        title = f"Bidirectional {title}"
    for key in ("filters", "units", "rate", "output_dim", "num_heads"):
        if key in get:
            title += f" · {get[key]}"
    return title


def _order(group: list[LayerSpec]) -> str:
    if len(group) == 1:
        return ""
    return " → ".join(
        str(layer.attributes["function"])
        if layer.op == "activation" and "function" in layer.attributes
        else _SHORT.get(layer.op, layer.op.replace("_", " "))
        for layer in group
    )


def _modifiers(main: LayerSpec) -> str:
    parts = []
    get = main.attributes
    pooled = get.get("pool_size")
    for key, word, plain in (
        ("strides", "stride", (1, 1)),
        ("dilation_rate", "dilation", (1, 1)),
        ("groups", "groups", 1),
        ("padding", "padding", "same"),
    ):
        value = get.get(key, plain)
        # A pooling window that moves by its own size says nothing new.
        if value in (plain, (1,)) or (key == "strides" and value == pooled) or not value:
            continue
        if key == "padding" and (pooled or not isinstance(value, str)):
            continue
        square = isinstance(value, tuple) and len(set(value)) == 1
        shown = value[0] if square else product(value) if isinstance(value, tuple) else value
        parts.append(f"{word} {shown}")
    return ", ".join(parts)


def _describe(graph: ArchitectureGraph, layer: LayerSpec) -> str:
    attributes = ", ".join(f"{key}={value}" for key, value in layer.attributes.items())
    costs = f"{graph.layer_params(layer.name):,} parameters, {graph.layer_macs(layer.name):,} MACs"
    shape = product(graph.shapes[layer.name])
    return f"{layer.name}: {layer.op}({attributes}), output {shape}, {costs}"
