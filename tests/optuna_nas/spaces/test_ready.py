"""The ready spaces at many input shapes: sizes by hand, every genotype has a network."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from optuna_nas import Choice, Float, SearchSpace
from optuna_nas.errors import GenotypeError
from optuna_nas.space import Scope, dense
from optuna_nas.spaces import (
    chain_cnn,
    darts,
    nas_bench_101,
    nas_bench_201,
    nas_bench_macro,
    nasnet,
    tabular_mlp,
    training_decisions,
)


def test_sizes() -> None:
    # A stage: 4 widths x 2 kernels x (no, one or two blocks of 3 kinds x 2 kernels).
    stage = 4 * 2 * (1 + 6 + 36)
    assert chain_cnn().size == stage**2 * 2 * 2 * 2
    assert chain_cnn(stages=1, max_blocks=1).size == 4 * 2 * 2 * 2 * 2
    # A block: plain with 4 widths or residual, with dropout of 2 rates or none.
    assert tabular_mlp().size == 4 * 3 * 4 * sum(15**depth for depth in range(5))


@pytest.mark.parametrize(
    ("shape", "stages"),
    [((8, 8, 1), 2), ((28, 28, 1), 4), ((32, 32, 3), 4), ((64, 48, 3), 4), ((3, 5, 2), 2)],
)
def test_chain_cnn_fits_images_of_any_size(shape: tuple[int, ...], stages: int) -> None:
    space = chain_cnn(input_shape=shape, classes=7)
    rng = np.random.default_rng(0)
    assert sum(f"stage{i}/width" in space.distributions() for i in range(9)) == stages
    for _ in range(50):
        graph = space.graph(space.sample(rng))
        assert graph.input_shape == shape
        assert graph.output_shape == (7,)


def test_training_can_be_searched_too() -> None:
    rate = Float("learning_rate", 1e-4, 1e-1, log=True)
    for space in (chain_cnn(training=[rate]), tabular_mlp(training=[rate])):
        assert list(space.training(space.sample(np.random.default_rng(0)))) == ["learning_rate"]


def test_references_are_trained_in_a_typical_way() -> None:
    space = tabular_mlp(training=training_decisions(images=True))
    assert space.training(space.references["MLP"]) == {
        "optimizer": "adam",
        "learning_rate": pytest.approx((3e-4 * 3e-2) ** 0.5),
        "weight_decay": pytest.approx((1e-6 * 1e-1) ** 0.5),
        "batch_size": 32,
        "label_smoothing": 0.0,
        "flip": False,
        "crop": 0.0,
        "cutout": 0.0,
    }


def test_limits_hold() -> None:
    space = chain_cnn(max_params=5_000)
    rng = np.random.default_rng(0)
    assert all(space.graph(space.sample(rng)).params <= 5_000 for _ in range(50))


@pytest.mark.parametrize(
    ("space", "names"),
    [
        (nas_bench_201(), {"ResNet", "best"}),
        (nas_bench_101(), {"ResNet-like", "Inception-like"}),
        (nas_bench_macro(), {"best"}),
        (darts(), {"DARTS_V1", "DARTS_V2"}),
        (nasnet(), {"NASNet-A", "AmoebaNet-A"}),
        (chain_cnn(), set()),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_study_begins_with_references(space: SearchSpace, names: set[str]) -> None:
    assert set(space.references) == names
    study = optuna.create_study()
    for genotype in space.references.values():
        assert space.feasible(genotype)
        study.enqueue_trial(genotype.params)
        assert space.suggest(study.ask()) == genotype
    again = SearchSpace.from_json(space.to_json())
    assert again.references == space.references
    assert again == space


def test_references_are_of_the_space() -> None:
    space = SearchSpace(
        "digits",
        input_shape=(4,),
        classes=2,
        body=dense(Choice("units", [4, 8])),
        references={"wide": {"units": 16}},
    )
    with pytest.raises(GenotypeError, match="16 is no value of the decision 'units'"):
        _ = space.references


def test_a_space_may_be_a_decision_of_another() -> None:
    shape = (8, 8, 1)
    cells = darts(input_shape=shape, channels=2, cells=3, nodes=2)
    families = {
        "cells": cells.body,
        "module": nas_bench_101(input_shape=shape, channels=7, stacks=1, modules=1).body,
        "chain": Scope("inner", chain_cnn(input_shape=shape, stages=1).body),
    }
    whole = SearchSpace("families", input_shape=shape, classes=10, body=Choice("family", families))
    rng = np.random.default_rng(0)
    drawn = [whole.sample(rng) for _ in range(30)]
    assert {genotype["family"] for genotype in drawn} == set(families)
    assert SearchSpace.from_json(whole.to_json()) == whole
    for genotype in drawn:
        assert whole.graph(whole.mutate(genotype, rng)).output_shape == (10,)
        if genotype["family"] == "cells":
            assert whole.identity(genotype) == cells.identity(cells.genotype(genotype))
