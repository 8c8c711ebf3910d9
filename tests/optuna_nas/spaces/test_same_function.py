"""Architectures of one identity compute the same, once weights are copied across."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from importlib import import_module

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, given, settings

from optuna_nas import Genotype, SearchSpace
from optuna_nas.errors import InfeasibleSpaceError
from optuna_nas.export import onnx_bytes
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.spaces import darts, nas_bench_101, nas_bench_201, nas_bench_macro, nasnet
from tests.optuna_nas.spaces.same_cells import rewritten
from tests.same_function import weights_by_place
from tests.strategies import rngs, spaces

Rewrite = Callable[[Genotype, np.random.Generator], Genotype]


def output(graph: ArchitectureGraph) -> np.ndarray:
    content = onnx_bytes(graph, weights=weights_by_place(graph), batch=2)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(2, *graph.input_shape)).astype(np.float32)
    (value,) = session.run(None, {"input": x})
    return np.asarray(value)


def agree(a: ArchitectureGraph, b: ArchitectureGraph) -> None:
    assert a.canonical_id == b.canonical_id
    np.testing.assert_allclose(output(a), output(b), rtol=1e-3, atol=1e-4)


def of_module(name: str) -> Rewrite:
    module = import_module(f"optuna_nas.spaces.{name}")

    def rewrite(genotype: Genotype, rng: np.random.Generator) -> Genotype:
        text = rewritten(module.to_genotype(genotype), module.OPERATIONS, rng)
        return Genotype(module.from_genotype(text))

    return rewrite


@pytest.mark.parametrize(
    ("space", "rewrite"),
    [
        (darts(input_shape=(8, 8, 1), channels=2, cells=4, nodes=3), of_module("darts")),
        (
            nasnet(input_shape=(8, 8, 1), channels=2, cells=2, stages=2, blocks=3),
            of_module("nasnet"),
        ),
    ],
    ids=["darts", "nasnet"],
)
@given(rng=rngs)
@settings(max_examples=8)
def test_cells_written_in_another_way(
    space: SearchSpace, rewrite: Rewrite, rng: np.random.Generator
) -> None:
    genotype = space.sample(rng)
    agree(space.graph(genotype), space.graph(rewrite(genotype, rng)))


@pytest.mark.parametrize(
    "space",
    [
        nas_bench_201(input_shape=(8, 8, 1), channels=2, cells=1),
        nas_bench_101(input_shape=(6, 6, 1), channels=7, stacks=1, modules=2),
        nas_bench_macro(input_shape=(8, 8, 1), channels=2, depths=(4,), head=4),
        darts(input_shape=(6, 6, 1), channels=2, cells=3, nodes=2),
        nasnet(input_shape=(6, 6, 1), channels=2, cells=1, stages=2, blocks=2),
    ],
    ids=lambda space: space.name,
)
def test_random_genotypes_that_are_one(space: SearchSpace) -> None:
    """Neighbours of random genotypes, and what these have in common with each other."""
    rng = np.random.default_rng(0)
    found: dict[str, list[Genotype]] = defaultdict(list)
    for _ in range(12):
        genotype = space.sample(rng)
        for other in {genotype, *(space.mutate(genotype, rng) for _ in range(12))}:
            found[space.identity(other)].append(other)
    pairs = [(group[0], group[-1]) for group in found.values() if group[0] != group[-1]]
    for a, b in pairs[:6]:
        agree(space.graph(a), space.graph(b))
    assert pairs or space.name in ("darts", "nasnet")


@given(spaces(), rngs)
@settings(max_examples=40)
def test_any_genotypes_that_are_one(space: SearchSpace, rng: np.random.Generator) -> None:
    found: dict[str, list[ArchitectureGraph]] = defaultdict(list)
    try:
        for _ in range(3):
            genotype = space.sample(rng)
            for other in {genotype, *(space.mutate(genotype, rng) for _ in range(4))}:
                graph = space.graph(other)
                found[graph.canonical_id].append(graph)
    except InfeasibleSpaceError:
        assume(False)
    for group in found.values():
        if group[0] != group[-1]:
            agree(group[0], group[-1])


def test_weights_tell_other_architectures_apart() -> None:
    """The check above can fail."""
    space = nas_bench_201(input_shape=(8, 8, 1), channels=2, cells=1)
    rng = np.random.default_rng(0)
    outputs = {}
    for _ in range(20):
        graph = space.graph(space.sample(rng))
        outputs[graph.canonical_id] = output(graph)
    assert len({value.round(3).tobytes() for value in outputs.values()}) == len(outputs)
