"""DARTS and NASNet-like cells: published parameters, texts, identities, shapes."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

from optuna_nas import SearchSpace
from optuna_nas.errors import GenotypeError
from optuna_nas.spaces import darts, nasnet
from tests.optuna_nas.spaces.same_cells import rewritten

# The package holds the functions of these names.
darts_module = import_module("optuna_nas.spaces.darts")
nasnet_module = import_module("optuna_nas.spaces.nasnet")
BOTH = pytest.mark.parametrize("module", [darts_module, nasnet_module])


def small(module: ModuleType, **arguments: bool) -> SearchSpace:
    if module is darts_module:
        return darts(input_shape=(9, 7, 1), channels=2, cells=3, **arguments)
    return nasnet(input_shape=(9, 7, 1), channels=2, cells=1, stages=2, **arguments)


@pytest.mark.parametrize(("name", "params"), [("DARTS_V1", 3_169_414), ("DARTS_V2", 3_349_342)])
def test_published_cells_have_the_published_parameters(name: str, params: int) -> None:
    space = darts()
    assert space.graph(space.references[name]).params == params


def test_sizes() -> None:
    # A node reads two of those before it, each through one of 8 operations.
    assert darts().size == (1 * 3 * 6 * 10 * 8**8) ** 2
    # A block reads any two, each through one of 13.
    assert nasnet().size == (2 * 3 * 4 * 5 * 6 * 13**5) ** 4


@BOTH
def test_stages_may_have_cells_of_their_own(module: ModuleType) -> None:
    shared, free = small(module), small(module, per_stage=True)
    assert free.size > shared.size
    assert free.references == {}
    genotype = free.sample(np.random.default_rng(0))
    assert {name.split("/")[0] for name in genotype} >= {"stage0", "stage1"}
    with pytest.raises(GenotypeError, match="all stages share"):
        module.to_genotype(genotype)
    # With the same cells everywhere it is the network of the shared ones.
    cells = shared.sample(np.random.default_rng(0))
    stages = {name.split("/")[0] for name in free.distributions()}
    same = free.genotype({f"{s}/{name}": value for s in stages for name, value in cells.items()})
    assert free.identity(same) == shared.identity(cells)


@BOTH
def test_texts_go_both_ways(module: ModuleType) -> None:
    for text in module.PUBLISHED.values():
        genotype = module.from_genotype(text)
        assert module.from_genotype(module.to_genotype(genotype)) == genotype
    rng = np.random.default_rng(0)
    space = small(module)
    for _ in range(20):
        genotype = space.sample(rng)
        assert module.from_genotype(module.to_genotype(genotype)) == genotype


def test_ranges_are_read() -> None:
    text = darts_module.PUBLISHED["DARTS_V1"]
    listed = text.replace("[2, 3, 4, 5]", "range(2, 6)")
    assert listed != text
    assert darts_module.from_genotype(listed) == darts_module.from_genotype(text)


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        ("Genotype(", ""),
        ("skip_connect", "teleport"),
        ("', 0)", "', 7)"),
        ("', 0)", "', -1)"),
        ("', 0)", "', 'a')"),
        ("normal=[", "normal=[('skip_connect', 0), "),
        ("normal_concat", "concat"),
        ("reduce_concat=[", "reduce_concat=[1, "),
    ],
)
def test_other_texts_are_refused(module: ModuleType, change: tuple[str, str]) -> None:
    text = next(iter(module.PUBLISHED.values()))
    with pytest.raises(GenotypeError):
        module.from_genotype(text.replace(*change))


def test_a_node_of_darts_reads_two_different_ones() -> None:
    text = darts_module.PUBLISHED["DARTS_V1"]
    with pytest.raises(GenotypeError, match="two different"):
        darts_module.from_genotype(
            text.replace("('sep_conv_3x3', 1), (", "('sep_conv_3x3', 0), (", 1)
        )


@BOTH
def test_cells_written_in_another_way_are_one(module: ModuleType) -> None:
    rng = np.random.default_rng(0)
    space = small(module)
    changed = 0
    for _ in range(12):
        genotype = space.sample(rng)
        text = rewritten(module.to_genotype(genotype), module.OPERATIONS, rng)
        other = space.genotype(module.from_genotype(text))
        changed += other != genotype
        assert space.identity(other) == space.identity(genotype)
    assert changed > 6


def test_other_cells_are_not() -> None:
    """Of two nodes with two operations, 48 ways to write a cell are 42 cells.

    The second node reads the first in 32 of them; in the other 16 the nodes may be swapped.
    """
    space = darts(
        input_shape=(4, 4, 1),
        channels=2,
        cells=5,  # the first cell reads the stem twice, the third one two different cells
        nodes=2,
        operations=("max_pool_3x3", "sep_conv_3x3"),
    )
    genotypes = list(space.genotypes())
    assert len(genotypes) == space.size == 48**2
    normal = [g for g in genotypes if _reduction(g) == _reduction(genotypes[0])]
    assert len(normal) == 48
    assert len({space.identity(genotype) for genotype in normal}) == 42


def _reduction(genotype: object) -> dict[str, object]:
    return {k: v for k, v in dict(genotype).items() if k.startswith("reduction")}  # type: ignore[call-overload]


@BOTH
@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28, 1), (15, 9, 2), (3, 3, 1)])
def test_any_image_fits(module: ModuleType, shape: tuple[int, ...]) -> None:
    make = {darts_module: darts, nasnet_module: nasnet}[module]
    arguments = {"nodes": 2} if module is darts_module else {"blocks": 2, "stages": 2}
    space = make(input_shape=shape, channels=3, cells=3, **arguments)
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert space.graph(space.sample(rng)).output_shape == (10,)


def test_reductions_stand_at_a_third_and_two_thirds() -> None:
    space = darts(channels=4, cells=8)
    graph = space.graph(space.references["DARTS_V2"])
    sizes = [graph.shapes[layer.name] for layer in graph.layers if layer.op == "concatenate"]
    cells = [shape for shape in sizes if shape[-1] in (16, 32, 64)]
    assert [shape[0] for shape in cells if shape[-1] == 4 * 4 * 32 // shape[0]] == [
        *[32] * 2,
        *[16] * 3,
        *[8] * 3,
    ]


def test_what_no_block_reads_is_the_output() -> None:
    space = nasnet(input_shape=(8, 8, 1), channels=2, cells=1, stages=2)
    graph = space.graph(space.references["AmoebaNet-A"])
    layers = [layer for layer in graph.layers if layer.op == "concatenate"]
    widths = [graph.shapes[layer.name][-1] for layer in layers]
    assert 3 * 2 in widths  # the normal cell: blocks 4, 5 and 6 of two channels each
    assert widths[-1] == 3 * 4
