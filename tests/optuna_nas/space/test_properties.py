"""What must hold for every space that can be declared."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import optuna
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from optuna_nas import Genotype, SearchSpace
from optuna_nas.errors import InfeasibleSpaceError
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.spaces import (
    chain_cnn,
    darts,
    nas_bench_101,
    nas_bench_201,
    nas_bench_macro,
    nasnet,
    tabular_mlp,
)
from tests.strategies import rngs, spaces

READY = [
    nas_bench_201(cells=1),
    nas_bench_101(channels=7, stacks=1, modules=1),
    nas_bench_macro(channels=2),
    darts(channels=2, cells=3, nodes=2),
    nasnet(channels=2, cells=1, stages=2, blocks=2, operations=["skip_connect", "sep_conv_3x3"]),
    chain_cnn(),
    tabular_mlp(),
]
any_space = st.one_of(spaces(), st.sampled_from(READY))


def sample(space: SearchSpace, rng: np.random.Generator) -> Genotype:
    try:
        return space.sample(rng)
    except InfeasibleSpaceError:
        assume(False)
        raise


@given(any_space, rngs)
def test_an_optuna_trial_gives_back_the_genotype(
    space: SearchSpace, rng: np.random.Generator
) -> None:
    genotype = sample(space, rng)
    fixed = optuna.trial.FixedTrial(genotype.params)
    assert space.suggest(fixed) == genotype
    assert list(fixed.params) == list(genotype)
    assert space.genotype(fixed.params) == genotype


@given(any_space, st.integers(0, 1000))
def test_a_study_records_the_genotype(space: SearchSpace, seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    genotype = space.suggest(trial)
    study.tell(trial, 0.0)
    assert study.trials[0].params == genotype.params
    assert space.genotype(study.trials[0].params) == genotype
    assert all(type(v) in (bool, int, float, str) for v in genotype.values())


@given(any_space, rngs)
def test_json_gives_back_space_and_genotype(space: SearchSpace, rng: np.random.Generator) -> None:
    again = SearchSpace.from_json(space.to_json())
    assert again == space
    assert again.fingerprint == space.fingerprint
    assert pickle.loads(pickle.dumps(space)) == space
    genotype = sample(space, rng)
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert hash(Genotype.from_json(genotype.to_json())) == hash(genotype)
    graph = space.graph(genotype)
    assert again.graph(genotype) == graph
    assert ArchitectureGraph.from_json(graph.to_json()) == graph


@given(spaces())
def test_the_size_is_the_number_of_genotypes(space: SearchSpace) -> None:
    assume(space.size < 3000)  # continuous ones are infinite
    genotypes = list(space.genotypes())
    assert len(genotypes) == len(set(genotypes)) == space.size


@given(any_space, rngs)
def test_a_mutation_is_one_edit(space: SearchSpace, rng: np.random.Generator) -> None:
    genotype = sample(space, rng)
    try:
        child = space.mutate(genotype, rng)
    except InfeasibleSpaceError:
        assume(False)
        raise
    assert space.genotype(child.params) == child
    assert space.feasible(child)
    if space.size > 1 and "training/learning_rate" not in genotype:
        neighbors = list(itertools.islice(space.neighbors(genotype), 2000))
        assume(len(neighbors) < 2000)
        assert genotype not in neighbors
        assert len(set(neighbors)) == len(neighbors)
        assert child in neighbors or not neighbors


@given(spaces(), rngs)
@settings(max_examples=25)
def test_neighbours_are_mutual(space: SearchSpace, rng: np.random.Generator) -> None:
    assume(space.size < 500)
    genotype = sample(space, rng)
    for neighbor in itertools.islice(space.neighbors(genotype), 20):
        assert genotype in set(space.neighbors(neighbor))


@given(any_space, rngs)
def test_a_child_of_two_takes_what_they_decided(
    space: SearchSpace, rng: np.random.Generator
) -> None:
    a, b = sample(space, rng), sample(space, rng)
    try:
        child = space.crossover(a, b, rng)
    except InfeasibleSpaceError:
        assume(False)
        raise
    assert space.genotype(child.params) == child
    for name, value in child.items():
        if name in a or name in b:
            assert value in [parent[name] for parent in (a, b) if name in parent]
    assert space.crossover(a, a, rng) == a


@given(any_space, rngs)
def test_pruning_keeps_identity_and_output(space: SearchSpace, rng: np.random.Generator) -> None:
    graph = space.graph(sample(space, rng))
    pruned = graph.pruned()
    assert pruned.canonical_id == graph.canonical_id
    assert pruned.output_shape == graph.output_shape
    assert pruned.pruned() == pruned
    assert pruned.params <= graph.params
    assert {layer.name for layer in pruned.layers} <= {layer.name for layer in graph.layers}
    assert all(layer.op != "identity" for layer in pruned.layers)


@pytest.mark.parametrize("space", READY, ids=lambda s: s.name)
def test_one_seed_one_sequence(space: SearchSpace) -> None:
    def walk(seed: int) -> list[Genotype]:
        rng = np.random.default_rng(seed)
        genotypes = [space.sample(rng)]
        for _ in range(20):
            genotypes.append(space.mutate(genotypes[-1], rng))
        return genotypes

    assert walk(0) == walk(0)
    assert walk(0) != walk(1)
