"""The drawing of a network: boxes, repetitions, layout, SVG."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from optuna_nas.graph import ArchitectureGraph, GraphBuilder
from optuna_nas.report import draw_architecture
from optuna_nas.report.boxes import boxes_of, live_layers
from optuna_nas.report.layered import layered
from optuna_nas.report.repeats import units_of
from optuna_nas.spaces import chain_cnn, nas_bench_201, tabular_mlp

SVG = "{http://www.w3.org/2000/svg}"
BN = {"momentum": 0.9, "epsilon": 1e-5}


def cell_network(*operations: str) -> ArchitectureGraph:
    """A NAS-Bench-201 network of full size; one operation an edge."""
    space = nas_bench_201()
    names = list(space.sample(np.random.default_rng(0)).params)
    return space.graph(space.genotype(dict(zip(names, operations, strict=True))))


def units(graph: ArchitectureGraph):
    boxes = boxes_of(graph)
    output = next(i for i, box in enumerate(boxes) if graph.output in box.layers)
    return boxes, units_of(boxes, output)


def test_convolution_normalisation_and_activation_are_one_box():
    build = GraphBuilder((8, 8, 3))
    x = build.add("conv2d", {"filters": 4, "kernel_size": (3, 3), "strides": (2, 2)}, ["input"])
    x = build.add("batch_normalization", BN, [x])
    x = build.add("activation", {"function": "relu"}, [x])
    x = build.add("activation", {"function": "relu"}, [x])
    x = build.add("conv2d", {"filters": 4, "kernel_size": (1, 1)}, [x])
    boxes = boxes_of(build.graph(x))
    assert [len(box.layers) for box in boxes] == [1, 3, 2]
    assert boxes[1].title == "Conv 3×3 · 4"
    assert boxes[1].lines[0] == "conv → batch norm → relu"
    assert boxes[1].lines[1] == "stride 2"
    assert boxes[1].lines[2].startswith("4×4×4 · ")
    assert boxes[2].inputs == (1,)


def test_a_layer_with_two_readers_ends_its_box():
    build = GraphBuilder((8, 8, 3))
    x = build.add("conv2d", {"filters": 4, "kernel_size": (3, 3)}, ["input"])
    y = build.add("activation", {"function": "relu"}, [x])
    boxes = boxes_of(build.graph(build.add("add", {}, [x, y])))
    assert [box.layers for box in boxes] == [("input",), (x,), (y,), ("add",)]
    assert boxes[3].inputs == (1, 2)


@pytest.mark.parametrize("space", [nas_bench_201(), chain_cnn(), tabular_mlp(input_shape=(9,))])
def test_every_layer_is_in_one_box_and_edges_are_kept(space):
    rng = np.random.default_rng(1)
    for _ in range(20):
        graph = space.graph(space.sample(rng))
        boxes = boxes_of(graph)
        home = {name: i for i, box in enumerate(boxes) for name in box.layers}
        assert sum(len(box.layers) for box in boxes) == len(home) == len(graph.layers)
        outer = {
            (home[source], home[layer.name])
            for layer in graph.layers
            for source in layer.inputs
            if home[source] != home[layer.name]
        }
        assert outer == {(s, t) for t, box in enumerate(boxes) for s in box.inputs}
        assert all(source < target for source, target in outer)


@pytest.mark.parametrize("space", [nas_bench_201(), chain_cnn()])
def test_units_cover_every_box_once(space):
    rng = np.random.default_rng(2)
    for _ in range(20):
        boxes, found = units(space.graph(space.sample(rng)))
        drawn = [index for unit in found for s in unit.segments for index in s.boxes]
        assert len(drawn) == len(set(drawn))
        assert sum(
            unit.times * sum(len(segment.boxes) for segment in unit.segments) for unit in found
        ) == len(boxes)


def test_the_fifteen_cells_become_three_frames():
    graph = cell_network(
        "nor_conv_3x3", "none", "skip_connect", "nor_conv_1x1", "avg_pool_3x3", "nor_conv_3x3"
    )
    _, found = units(graph)
    assert [unit.times for unit in found if unit.times > 1] == [5, 5, 5]
    text = draw_architecture(graph)
    assert text.count("× 5</text>") == 3
    assert len(ElementTree.fromstring(text).findall(f".//{SVG}rect")) < 45


def test_branches_that_cannot_matter_are_dead():
    graph = cell_network(
        "none", "nor_conv_3x3", "nor_conv_1x1", "skip_connect", "none", "avg_pool_3x3"
    )
    live = live_layers(graph)
    dead = [layer for layer in graph.layers if layer.name not in live]
    assert {layer.op for layer in dead} >= {"zero"}
    assert {layer.name for layer in graph.pruned().layers} <= live
    assert all(name in live for layer in graph.pruned().layers for name in layer.inputs)
    assert "d" in {
        word
        for group in ElementTree.fromstring(draw_architecture(graph)).iter(f"{SVG}g")
        for word in group.get("class", "").split()
    }


def test_identities_on_a_live_path_are_not_dead():
    build = GraphBuilder((4,))
    skip = build.add("identity", {}, ["input"])
    zero = build.add("zero", {}, ["input"])
    graph = build.graph(build.add("dense", {"units": 2}, [build.add("add", {}, [skip, zero])]))
    assert live_layers(graph) == {layer.name for layer in graph.layers} - {zero}


def test_dead_ends_are_drawn_grey():
    build = GraphBuilder((4,))
    side = build.add("dense", {"units": 3}, ["input"])
    x = build.add("dense", {"units": 3}, ["input"])
    build.add("dense", {"units": 5}, [side])
    x = build.add("dense", {"units": 2}, [x])
    build.add("dense", {"units": 7}, [x])
    text = draw_architecture(ArchitectureGraph(build.layers, x))
    assert text.count('<g class="dense d">') == 3
    ElementTree.fromstring(text)


def random_network(rng: np.random.Generator, nodes: int) -> dict[int, list[int]]:
    edges: dict[int, list[int]] = {0: []}
    for node in range(1, nodes):
        number = int(rng.integers(1, min(node, 3) + 1))
        edges[node] = sorted({int(s) for s in rng.choice(node, size=number, replace=False)})
    return edges


@pytest.mark.parametrize("seed", range(10))
def test_layout_keeps_boxes_apart_and_edges_downwards(seed):
    rng = np.random.default_rng(seed)
    edges = random_network(rng, int(rng.integers(2, 30)))
    widths = {node: float(rng.uniform(50, 200)) for node in edges}
    layout = layered(edges, widths, gap=10.0)
    for a, b in combinations(edges, 2):
        if layout.row[a] == layout.row[b]:
            assert abs(layout.x[a] - layout.x[b]) >= (widths[a] + widths[b]) / 2 + 10 - 1e-6
    for node, sources in edges.items():
        for source in sources:
            rows = [layout.row[source], *(row for _, row in layout.bends[source, node])]
            assert all(b - a == 1 for a, b in pairwise([*rows, layout.row[node]]))


def test_layout_of_a_chain_is_straight():
    layout = layered({0: [], 1: [0], 2: [1]}, {0: 50.0, 1: 90.0, 2: 70.0}, gap=10.0)
    assert set(layout.x.values()) == {0.0}
    assert layout.rows == 3


@pytest.mark.parametrize("space", [nas_bench_201(), chain_cnn(), tabular_mlp(input_shape=(9,))])
def test_pictures_are_well_formed_and_hold_all_they_draw(space):
    rng = np.random.default_rng(4)
    for _ in range(10):
        graph = space.graph(space.sample(rng))
        root = ElementTree.fromstring(draw_architecture(graph))
        left, top, width, height = map(float, root.get("viewBox").split())
        for box in root.iter(f"{SVG}rect"):
            x, y, w, h = (float(box.get(key)) for key in ("x", "y", "width", "height"))
            assert left <= x
            assert x + w <= left + width
            assert top <= y
            assert y + h <= top + height
        for path in root.iter(f"{SVG}path"):
            numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", path.get("d"))]
            assert min(numbers[::2]) >= left
            assert max(numbers[::2]) <= left + width


def test_a_network_of_one_layer_is_drawn():
    graph = ArchitectureGraph(GraphBuilder((4,)).layers)
    assert "Input" in draw_architecture(graph)


def test_sequences_have_their_titles() -> None:
    build = GraphBuilder((7,))
    x = build.add("embedding", {"input_dim": 9, "output_dim": 4}, ["input"])
    x = build.add("conv1d", {"filters": 6, "kernel_size": 3, "padding": "causal"}, [x])
    x = build.add("batch_normalization", {}, [x])
    x = build.add("multi_head_attention", {"num_heads": 2, "key_dim": 3}, [x])
    x = build.add("lstm", {"units": 5, "bidirectional": True}, [x])
    boxes = boxes_of(build.graph(x))
    assert [box.title for box in boxes] == [
        "Input", "Embedding · 4", "Conv 3 · 6", "Multi-head attention · 2",
        "Bidirectional LSTM · 5",
    ]  # fmt: skip
    assert boxes[2].lines[:2] == ("conv → batch norm", "padding causal")
