"""Live layers and the paths through them, on networks small enough to see through."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from optuna_nas.graph import ArchitectureGraph, GraphBuilder
from optuna_nas.graph.liveness import live_layers, paths


def random_graph(rng: np.random.Generator, most: int = 14) -> ArchitectureGraph:
    """Layers that keep the shape, each reading any of those before it."""
    builder = GraphBuilder((4, 4, 2))
    values = ["input"]
    for _ in range(int(rng.integers(2, most))):
        a, b = (values[int(rng.integers(len(values)))] for _ in range(2))
        op = rng.choice(["conv2d", "zero", "identity", "activation", "multiply", "add", "pool"])
        if op == "conv2d":
            size = {"filters": 2, "kernel_size": int(rng.choice([1, 3]))}
            values.append(builder.add("conv2d", {**size, "use_bias": bool(rng.integers(2))}, [a]))
        elif op == "activation":
            function = str(rng.choice(["relu", "sigmoid", "linear"]))
            values.append(builder.add(op, {"function": function}, [a]))
        elif op == "pool":
            values.append(builder.add("average_pooling2d", {"pool_size": 3}, [a]))
        elif op in ("multiply", "add"):
            values.append(builder.add(op, {}, [a, b]))
        else:
            values.append(builder.add(str(op), {}, [a]))
    return builder.graph(values[-1])


def all_paths(graph: ArchitectureGraph, names: set[str]) -> list[list[str]]:
    """Every path from the input to the output through layers ``names``, one by one."""

    def backwards(name: str) -> list[list[str]]:
        if name == "input":
            return [[name]]
        read = [x for x in graph.layer(name).inputs if x in names]
        return [[*path, name] for x in read for path in backwards(x)]

    return backwards(graph.output) if graph.output in names else []


def test_what_is_computed_from_zeros_is_dead() -> None:
    b = GraphBuilder((4, 4, 2))
    conv = {"filters": 2, "kernel_size": 3, "use_bias": True}
    kept = b.add("conv2d", conv, ["input"])
    before = b.add("conv2d", conv, ["input"])
    zero = b.add("zero", {}, [before])
    constant = b.add("conv2d", conv, [zero])  # its bias alone
    out = b.add("add", {}, [kept, constant])
    assert [layer.name for layer in live_layers(b.graph(out))] == ["input", kept, out]


def test_a_factor_of_zero_kills_and_a_constant_one_does_not() -> None:
    b = GraphBuilder((4, 4, 2))
    zero = b.add("zero", {}, ["input"])
    half = b.add("activation", {"function": "sigmoid"}, [zero])
    assert live_layers(b.graph(b.add("multiply", {}, ["input", zero]))) == []
    scaled = b.add("multiply", {}, ["input", half])
    assert [layer.name for layer in live_layers(b.graph(scaled))] == ["input", scaled]


@pytest.mark.parametrize("seed", range(60))
def test_live_layers_are_those_on_a_path_without_constants(seed: int) -> None:
    graph = random_graph(np.random.default_rng(seed))
    live = live_layers(graph)
    names = {layer.name for layer in live}
    assert names == set(itertools.chain(*all_paths(graph, names)))
    assert [layer.name for layer in live] == [x.name for x in graph.layers if x.name in names]
    # Without what is dead, it is the same network.
    if live:
        inputs = {layer.name: [x for x in layer.inputs if x in names] for layer in live}
        b = GraphBuilder(graph.input_shape)
        new = {"input": "input"}
        for layer in live[1:]:
            read = inputs[layer.name] if layer.op == "add" else layer.inputs
            if not set(read) <= names:
                return  # a constant factor is no layer of its own any more
            new[layer.name] = b.add(layer.op, layer.attributes, [new[x] for x in read])
        assert b.graph(new[graph.output]).canonical_id == graph.canonical_id


@pytest.mark.parametrize("seed", range(60))
def test_path_statistics_equal_those_of_all_paths(seed: int) -> None:
    graph = random_graph(np.random.default_rng(seed))
    live = live_layers(graph)
    if not live:
        return
    weighted = {layer.name for layer in live if layer.op == "conv2d"}
    every = all_paths(graph, {layer.name for layer in live})
    lengths = [sum(name in weighted for name in path) for path in every]
    found = paths(live, weighted)
    assert found.total == len(every)
    assert (found.shortest, found.longest) == (min(lengths), max(lengths))
    for layer in live:
        assert found.through[layer.name] == sum(layer.name in path for path in every)
