"""Cells of two inputs, stacks of them, and what their edges read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from optuna_nas import SearchSpace
from optuna_nas.errors import SpaceError
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.space import (
    Cell,
    CellStack,
    Choice,
    Edge,
    Node,
    Parallel,
    Repeat,
    Scope,
    Tied,
    activation,
    average_pooling,
    conv,
    global_average_pooling,
    identity,
    max_pooling,
)
from optuna_nas.spaces import chain_cnn, darts, nas_bench_201, tabular_mlp


def space(*body: Node) -> SearchSpace:
    return SearchSpace(
        "cells",
        input_shape=(8, 8, 2),
        classes=3,
        body=[*body, global_average_pooling()],
    )


def only_graph(*body: Node) -> ArchitectureGraph:
    whole = space(*body)
    (genotype,) = whole.genotypes()
    return whole.graph(genotype)


def sums(name: str, **arguments: object) -> Cell:
    """A cell whose node adds its two inputs, the older one behind a ReLU."""
    node = Parallel([Edge(0, activation("relu")), Edge(1, activation("tanh"))])
    return Cell(name, [node], inputs=2, **arguments)


def test_cells_of_a_stack_read_the_two_before() -> None:
    graph = only_graph(CellStack([sums("a"), sums("b"), sums("c")]))
    reads = {layer.name: layer.inputs for layer in graph.layers}
    assert [reads[f"{cell}_activation"] for cell in "abc"] == [("input",), ("input",), ("a_add",)]
    assert [reads[f"{cell}_activation_1"] for cell in "abc"] == [
        ("input",),
        ("a_add",),
        ("b_add",),
    ]


def test_a_stack_may_repeat_cells() -> None:
    whole = space(CellStack(Repeat("cells", 1, 3, Tied(sums("a")))))
    three = whole.graph(whole.genotype({"cells/depth": 3}))
    fixed = only_graph(CellStack([Tied(sums("a"))] * 3))
    assert three.canonical_id == fixed.canonical_id


def test_inputs_are_prepared_by_their_resolution() -> None:
    prepare, reduce = conv(5, 1), [max_pooling(2), conv(5, 1)]
    first = sums("a", prepare=prepare, reduce=reduce)
    second = sums("b", prepare=prepare, reduce=reduce)
    graph = only_graph(CellStack([first, max_pooling(2), second]))
    assert graph.shapes["a_add"] == (8, 8, 5)
    assert graph.shapes["b_add"] == (4, 4, 5)
    assert sum(layer.op == "max_pooling2d" for layer in graph.layers) == 2


def test_edges_may_read_inputs_in_another_way() -> None:
    def operation(stride: int) -> Choice:
        return Choice(
            "operation", {"max": max_pooling(3, stride), "mean": average_pooling(3, stride)}
        )

    def node(position: int) -> Node:
        source = Choice("source", list(range(position)))
        return Scope(f"node{position}", Edge(source, operation(1), operation(2)))

    whole = space(Cell("cell", [node(1), node(2)]))
    assert whole.size == 2 * (2 * 2)
    for genotype in whole.genotypes():
        graph = whole.graph(genotype)
        assert graph.shapes[graph.layers[-2].inputs[0]] == (4, 4, 2)
    assert SearchSpace.from_json(whole.to_json()) == whole


def test_the_output_may_be_what_no_node_reads() -> None:
    nodes = [
        Edge(0, conv(2, 1)),
        Edge(1, conv(3, 1)),
        Edge(1, conv(4, 1)),
    ]
    graph = only_graph(Cell("cell", nodes, output="unread"))
    (layer,) = [layer for layer in graph.layers if layer.op == "concatenate"]
    assert graph.shapes[layer.name] == (8, 8, 3 + 4)


def test_mistakes_are_named() -> None:
    with pytest.raises(SpaceError, match="outside of a CellStack"):
        only_graph(sums("a"))
    with pytest.raises(SpaceError, match="outside of a CellStack"):
        only_graph(CellStack(Cell("outer", [sums("inner")], inputs=2)))
    with pytest.raises(SpaceError, match="inputs are 1 or 2"):
        Cell("a", [identity()], inputs=3)
    with pytest.raises(SpaceError, match="output is one of"):
        Cell("a", [identity()], output="first")
    with pytest.raises(SpaceError, match="same decisions"):
        Edge(0, Choice("a", {"x": identity()}), Choice("b", {"x": identity()}))


def test_json_keeps_stacks() -> None:
    whole = space(CellStack([sums("a", prepare=conv(4, 1)), sums("b", prepare=conv(4, 1))]))
    again = SearchSpace.from_json(whole.to_json())
    assert again == whole
    (genotype,) = whole.genotypes()
    assert again.graph(genotype) == whole.graph(genotype)


def test_json_writes_equal_nodes_once() -> None:
    whole = darts(cells=6)
    text, written_out = whole.to_json(), json.dumps(whole._state())  # as earlier versions wrote it
    assert len(text) < len(written_out) / 10
    assert SearchSpace.from_json(text).to_json() == text
    assert SearchSpace.from_json(written_out) == whole
    lost = json.dumps(json.loads(text) | {"nodes": []})
    with pytest.raises(SpaceError, match="not the JSON of a search space"):
        SearchSpace.from_json(lost)


def test_spaces_without_them_keep_their_fingerprints() -> None:
    """Studies of earlier versions go on."""
    assert nas_bench_201().fingerprint == "d83f48d7357bdf11efd838e0e6dcfa76"
    assert chain_cnn().fingerprint == "09f0b645334364ba6028cd62f5f70272"
    assert tabular_mlp().fingerprint == "d92a468c4c7aa3228a3ed7aab43f9347"


def test_governed_layers_are_of_the_cell() -> None:
    edge = Edge(Choice("source", [0, 1]), Choice("operation", {"a": conv(2, 1), "b": conv(2, 3)}))
    whole = space(CellStack([Tied(Cell("cell", [edge], inputs=2))] * 2))
    governed = whole.governed(whole.sample(np.random.default_rng(0)))
    assert set(governed) == {"cell/source", "cell/operation"}
    assert len(governed["cell/operation"]) == 2 * 3
