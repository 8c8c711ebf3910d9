"""Architectures as numbers: what a model can learn from a graph, whatever space it comes from.

What an edge does matters only where values flow through it. So features describe the live part of a
network: what its layers are, what they cost, and on how many paths, how deep, the input reaches the
output. In these, networks with one canonical identity are equal. What is dead matters to nothing
but the costs of what is built, which are features of their own.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from optuna_nas.graph import ArchitectureGraph, LayerSpec, get_operation
from optuna_nas.graph.liveness import Paths, paths
from optuna_nas.graph.operations import Attributes
from optuna_nas.graph.pruning import is_identity

# Attributes that do not make a layer another kind of layer: sizes, which costs and widths tell, and
# what differs with the way a network was written down.
_NOT_TELLING = frozenset(["filters", "units", "shape", "target_shape", "padding", "use_bias"])
# They have weights, but add no depth.
_NORMALIZATIONS = frozenset(["batch_normalization", "layer_normalization"])
# Identities, too, are mere wiring: it differs among networks that are equal.
_WIRING = frozenset(["input", "add", "zero"])


@dataclass(frozen=True, slots=True)
class _Facts:
    """What counts of a layer: its kind, such as 'conv2d kernel_size (3, 3)', costs and place."""

    attributes: Attributes
    kind: str
    params: int
    macs: int
    values: int
    stage: str
    log_width: float
    weighted: bool


class KnownLayers(dict[Hashable, _Facts]):
    """Layers described before, in networks of one input shape: those of one space share most.

    Equal layers of one space have one dictionary of attributes, so its `id` tells them; it is kept
    with them, so that the `id` remains its own.
    """

    MAX_SIZE = 4096

    def facts(self, graph: ArchitectureGraph, layer: LayerSpec) -> _Facts:
        """What counts of a layer of a graph."""
        key = (id(layer.attributes), layer.op, *[graph.shapes[name] for name in layer.inputs])
        known = self.get(key)
        if known is None:
            if len(self) >= self.MAX_SIZE:
                self.clear()
            known = self[key] = _facts(graph, layer)
        return known


def graph_features(
    graph: ArchitectureGraph, live: Sequence[LayerSpec], known: KnownLayers
) -> dict[str, float]:
    """Named features of what a network computes; a name that is missing stands for 0.

    Args:
        graph: The network.
        live: Its live layers, by `optuna_nas.graph.liveness.live_layers`.
        known: Layers described before; those of this network are added.

    Returns:
        Under ``graph ...``: costs of the live layers (logarithms), the number of weighted ones by
        kind, and statistics of the paths from the input to the output: their number (logarithm),
        the fewest, most and mean weighted layers on one, and the mean number of each kind on one.
        Under ``stage ...``, by how often the resolution was halved: the mean number of weighted
        layers on a path, their mean width (logarithm) and their cost (logarithm).
        Under ``cost ...``: costs and number of all layers, for dead ones take time and memory, too.
    """
    built = {
        layer.name: known.facts(graph, layer)
        for layer in graph.layers
        if layer.op not in _WIRING and not is_identity(layer)
    }
    features = _cost_features(built)
    if not live:
        return {**features, "graph disconnected": 1.0}
    facts = {layer.name: built[layer.name] for layer in live if layer.name in built}
    weighted = {name: fact for name, fact in facts.items() if fact.weighted}
    routes = paths(live, weighted)
    total = routes.total
    features |= {
        "graph log params": math.log1p(sum([fact.params for fact in facts.values()])),
        "graph log macs": math.log1p(sum([fact.macs for fact in facts.values()])),
        "graph log activations": math.log1p(sum([fact.values for fact in weighted.values()])),
        "graph log paths": math.log(total),
        "graph shortest path": float(routes.shortest),
        "graph longest path": float(routes.longest),
        "graph mean path": sum([routes.through[name] for name in weighted]) / total,
    }
    on_paths: defaultdict[str, int] = defaultdict(int)
    for name, fact in facts.items():
        on_paths[fact.kind] += routes.through[name]
    features.update({f"graph on path {kind}": n / total for kind, n in on_paths.items()})
    layers = Counter([fact.kind for fact in weighted.values()])
    features.update({f"graph layers {kind}": float(n) for kind, n in layers.items()})
    features.update(_stage_features(weighted, routes))
    return features


def _cost_features(built: Mapping[str, _Facts]) -> dict[str, float]:
    layers = Counter([fact.kind for fact in built.values()])
    return {
        "cost log params": math.log1p(sum([fact.params for fact in built.values()])),
        "cost log macs": math.log1p(sum([fact.macs for fact in built.values()])),
        **{f"cost layers={kind}": float(n) for kind, n in layers.items()},
    }


def _stage_features(weighted: Mapping[str, _Facts], routes: Paths) -> dict[str, float]:
    stages: defaultdict[str, list[str]] = defaultdict(list)
    for name, fact in weighted.items():
        stages[fact.stage].append(name)
    features = {}
    for stage, names in stages.items():
        through = sum([routes.through[name] for name in names])
        # `fsum` does not depend on the order, in which equal networks may differ.
        width = math.fsum([weighted[name].log_width for name in names]) / len(names)
        features[f"stage {stage} path"] = through / routes.total
        features[f"stage {stage} width"] = width
        features[f"stage {stage} log macs"] = math.log1p(sum([weighted[n].macs for n in names]))
    return features


def live_decisions(governed: Mapping[str, Sequence[str]], live: Sequence[LayerSpec]) -> set[str]:
    """Names of the decisions that have a say in a live layer.

    Args:
        governed: Names of each decision's layers, by `SearchSpace.governed`.
        live: The live layers.
    """
    names = {layer.name for layer in live}
    return {name for name, layers in governed.items() if not names.isdisjoint(layers)}


def _facts(graph: ArchitectureGraph, layer: LayerSpec) -> _Facts:
    operation = get_operation(layer.op)
    defaults = operation.defaults or {}
    telling = [
        f"{key} {value}"
        for key, value in sorted(layer.attributes.items())
        if key not in _NOT_TELLING and defaults.get(key) != value
    ]
    inputs = [graph.shapes[name] for name in layer.inputs]
    shape = graph.shapes[layer.name]
    params = operation.params(layer.attributes, inputs)
    return _Facts(
        layer.attributes,
        kind=" ".join([layer.op, *telling]),
        params=params,
        macs=operation.macs(layer.attributes, inputs),
        values=math.prod(shape),
        # A vector has no resolution.
        stage=str(round(math.log2(graph.input_shape[0] / shape[0]))) if shape[1:] else "vector",
        log_width=math.log2(shape[-1]),
        weighted=params > 0 and layer.op not in _NORMALIZATIONS,
    )
