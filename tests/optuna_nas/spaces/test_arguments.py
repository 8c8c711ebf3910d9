"""What ready spaces are given: errors name the argument, and all take the same ones."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optuna_nas import Genotype, SearchSpace, spaces
from optuna_nas.errors import SpaceError
from optuna_nas.space import transformer_block
from optuna_nas.spaces import (
    branching_cnn,
    chain_cnn,
    darts,
    darts_rnn,
    mobile_cnn,
    nas_bench_101,
    nas_bench_201,
    nas_bench_macro,
    nasnet,
    residual_cnn,
    sequence_cnn_rnn,
    tabular_mlp,
    text_classifier,
    training_decisions,
    vision_transformer,
)

READY = [name for name in spaces.__all__ if name != "training_decisions"]


@pytest.mark.parametrize("name", READY)
def test_an_input_of_another_kind(name: str) -> None:
    make = getattr(spaces, name)
    for shape in ((8, 8, 3, 1), 8, (0, 0, 0)):
        with pytest.raises(SpaceError, match=r"input_shape must be \("):
            make(input_shape=shape)


@pytest.mark.parametrize("name", READY)
def test_training_and_limits(name: str) -> None:
    make: Callable[..., SearchSpace] = getattr(spaces, name)
    space = make(training=training_decisions(weight_decay=None))
    assert {"training/optimizer", "training/batch_size"} <= set(space.distributions())
    assert list(space.references) == list(make().references)
    genotype = space.sample(np.random.default_rng(0))
    own = {name: value for name, value in genotype.items() if not name.startswith("training/")}
    for limit in ("max_params", "max_macs"):
        assert not make(**{limit: 1}).feasible(Genotype(own))


@pytest.mark.parametrize(
    ("make", "argument", "value"),
    [
        (branching_cnn, "layers", 0),
        (branching_cnn, "max_blocks", 0),
        (branching_cnn, "max_branches", 0),
        (branching_cnn, "merges", ("sum",)),
        (branching_cnn, "merges", 1),
        (branching_cnn, "operations", ()),
        (branching_cnn, "operations", {}),
        (branching_cnn, "stages", 0),
        (chain_cnn, "max_blocks", 0),
        (chain_cnn, "stages", 0),
        (darts, "cells", 0),
        (darts, "nodes", 0),
        (darts_rnn, "nodes", 0),
        (mobile_cnn, "layout", "v9"),
        (nas_bench_101, "channels", 6),
        (nas_bench_101, "stacks", 0),
        (nas_bench_201, "cells", 0),
        (nas_bench_macro, "depths", ()),
        (nas_bench_macro, "depths", (2, 0)),
        (nasnet, "stages", 0),
        (residual_cnn, "blocks", ("plain",)),
        (residual_cnn, "blocks", "basic"),
        (residual_cnn, "max_blocks", 0),
        (residual_cnn, "orders", ()),
        (residual_cnn, "stages", 1.5),
        (sequence_cnn_rnn, "max_recurrent", -1),
        (tabular_mlp, "categories", [1, 2]),
        (tabular_mlp, "max_blocks", -1),
        (text_classifier, "blocks", ("rnn",)),
        (text_classifier, "max_blocks", -1),
        (training_decisions, "batch_sizes", (32, 0)),
        (training_decisions, "batch_sizes", (1.5,)),
        (training_decisions, "label_smoothing", (2.0,)),
        (training_decisions, "label_smoothing", 0.1),
        (training_decisions, "mixup", (-1.0,)),
        (training_decisions, "optimizers", "adam"),
        (training_decisions, "optimizers", {}),
        (training_decisions, "weight_decay", 1e-4),
        (training_decisions, "weight_decay", (0.0, 1e-1)),
        (training_decisions, "weight_decay", (1e-1, 1e-6)),
        (training_decisions, "weight_decay", ("1e-6", "1e-1")),
        (vision_transformer, "depths", 3),
        (vision_transformer, "depths", (1.0, 2.0)),
        (vision_transformer, "depths", (3, 2)),
        (vision_transformer, "patch", 0),
    ],
)
def test_an_error_names_its_argument(make: Callable[..., Any], argument: str, value: Any) -> None:
    with pytest.raises(SpaceError, match=f"{argument} must be"):
        make(**{argument: value})


SIZES = ((), 8, "8", (0,), (8, -1), (8.5,), (True,), (None,))
FACTORS = ((), 1.0, "1", (0.0,), (1.0, -1.0), (float("nan"),), (float("inf"),), ("1",))
RATES = ((), 0.1, (-0.1,), (0.1, 1.0), (float("nan"),), ("0.1",))
NAMES = ((), "relu", ("relu", 1), (None,))
WRONG_LISTS: dict[str, tuple[Any, ...]] = {
    "activations": NAMES,
    "depths": SIZES,
    "dilations": SIZES,
    "dropout_rates": RATES,
    "embedding_sizes": SIZES,
    "expansions": FACTORS,
    "heads": SIZES,
    "kernels": SIZES,
    "mlp_ratios": (*FACTORS, (0.5,)),
    "operations": NAMES,
    "units": SIZES,
    "width_multipliers": FACTORS,
    "widths": SIZES,
}
"""By argument; of those, a space may have any, and a number in place of the list."""


@pytest.mark.parametrize("name", READY)
def test_wrong_values_in_lists(name: str) -> None:
    make = getattr(spaces, name)
    for argument, parameter in inspect.signature(make).parameters.items():
        if argument not in WRONG_LISTS or isinstance(parameter.default, int):
            continue
        for value in WRONG_LISTS[argument]:
            with pytest.raises(
                SpaceError, match=f"{argument} must be .*got {re.escape(repr(value))}"
            ):
                make(**{argument: value})


def test_optimizers_have_learning_rates() -> None:
    for bounds in (3, (0, 1), (1, 0.1), (0.1,), ("a", "b")):
        with pytest.raises(SpaceError, match=r"optimizers\['sgd'\] must be \(least, most\)"):
            training_decisions(optimizers={"sgd": bounds})  # type: ignore[dict-item]


def test_a_table_may_have_no_blocks() -> None:
    space = tabular_mlp(max_blocks=0, widths=(4,), activations=("relu",))
    assert space.size == 3  # the normalisations
    assert set(space.references) == {"MLP", "ResNet-like"}


def test_a_transformer_gives_back_the_width_that_came_in() -> None:
    for ratio in (0, 0.5, -2):
        with pytest.raises(SpaceError, match="ratio must be at least 1"):
            transformer_block(2, 4, ratio)
    odd = {"widths": (3, 5, 7), "heads": (1,), "key_dim": 2, "mlp_ratios": (1.0, 1.1, 3.5)}
    space = vision_transformer(input_shape=(6, 5, 1), depths=(1, 2), **odd)
    assert all(space.feasible(genotype) for genotype in space.genotypes())


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 1), (14, 14, 3), (9, 8, 2)])
def test_nas_bench_201_fits_images_of_any_size(shape: tuple[int, int, int]) -> None:
    space = nas_bench_201(input_shape=shape, channels=2, cells=1)
    graphs = [space.graph(genotype) for genotype in space.references.values()]
    assert [graph.output_shape for graph in graphs] == [(10,), (10,)]
