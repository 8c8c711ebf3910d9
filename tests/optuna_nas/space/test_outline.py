"""Spaces in words: every decision is there, what is repeated stands once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from optuna_nas.space import (
    Choice,
    Float,
    Integer,
    Maybe,
    Repeat,
    Scope,
    SearchSpace,
    Subset,
    Tied,
    When,
    activation,
    dense,
    dropout,
    flatten,
    identity,
    layer,
)
from optuna_nas.space.decisions import FloatRange, IntegerRange
from optuna_nas.space.outline import described, outline
from optuna_nas.spaces import nas_bench_201, nasnet
from tests.strategies import spaces

LINEAR = {
    "function": "relu",
    "stem/units": 8,
    "block/depth": 0,
    "branches": "b",
    "dropout": False,
    "training/learning_rate": 0.01,
}
SPACE = SearchSpace(
    "tour",
    input_shape=(4,),
    classes=2,
    body=[
        Scope("stem", dense(Choice("units", [8, 16]))),
        Repeat(
            "block",
            0,
            5,
            [
                Choice(
                    "kind",
                    {
                        "narrow": dense(Choice("units", [2, 4])),
                        "wide": dense(Choice("units", [2, 4])),
                        "skip": identity(),
                    },
                ),
                activation(Tied(Choice("function", ["relu", "tanh"]))),
            ],
        ),
        Subset(
            "branches", {"a": dense(Integer("units", 1, 9)), "b": dense(3)}, 1, 2, "concatenate"
        ),
        Maybe("dropout", dropout(Float("rate", 0.1, 0.5))),
    ],
    training=[Float("learning_rate", 1e-3, 0.1, log=True)],
    max_params=5_000,
    references={"linear": LINEAR},
)


def test_a_space_in_words() -> None:
    assert SPACE.describe().splitlines() == [
        "tour: inputs of 4, 2 classes.",
        "Infinitely many networks, each trained in many ways, by up to 23 decisions.",
        "At most 5,000 parameters.",
        "Known among them: linear.",
        "",
        "function: 'relu' or 'tanh'",
        "stem/units: 8 or 16",
        "block/depth: 0 to 5 copies, each with",
        "  kind: 'narrow', 'wide' or 'skip'",
        "    where it is 'narrow' or 'wide'",
        "      units: 2 or 4",
        "branches: 'a', 'b' or 'a+b'",
        "  where it is 'a' or 'a+b'",
        "    a/units: 1 to 9",
        "dropout: False or True",
        "  where it is True",
        "    rate: 0.1 to 0.5",
        "training/learning_rate: 0.001 to 0.1, logarithmic",
    ]


def test_sizes_in_words() -> None:
    assert "15,625 networks, by up to 6 decisions." in nas_bench_201().describe()
    assert f"{nasnet().size:,} networks" in nasnet().describe()
    many = Repeat("layer", 1, 300, dense(Choice("units", [1, 2, 3])))
    space = SearchSpace("deep", input_shape=(4,), classes=2, body=many)
    assert "About 10^143 networks" in space.describe()


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (IntegerRange(4, 4), "4"),
        (IntegerRange(1, 3), "1, 2 or 3"),
        (IntegerRange(8, 64, 8), "8 to 64 in steps of 8"),
        (IntegerRange(1, 100, log=True), "1 to 100, logarithmic"),
        (FloatRange(0.0, 0.5, 0.25), "0 to 0.5 in steps of 0.25"),
    ],
)
def test_values_in_words(domain: IntegerRange | FloatRange, text: str) -> None:
    assert described(domain) == text


def test_attributes_under_conditions_stand_once_for_all_copies() -> None:
    dilation = When("kernel_size", [3, 5], Choice("dilation", [1, 2]))
    kernel = Choice("kernel", [1, 3, 5])
    convolution = layer("conv2d", filters=4, kernel_size=kernel, dilation_rate=dilation)
    space = SearchSpace(
        "dilated",
        input_shape=(8, 8, 1),
        classes=2,
        body=[Repeat("block", 1, 3, Scope("inner", convolution)), flatten()],
    )
    assert space.describe().splitlines()[3:] == [
        "block/depth: 1, 2 or 3 copies, each with",
        "  inner/kernel: 1, 3 or 5",
        "    where it is 3 or 5",
        "      inner/dilation: 1 or 2",
    ]


@settings(max_examples=30)
@given(space=spaces())
def test_every_decision_is_in_the_outline(space: SearchSpace) -> None:
    rows = outline(space.points)
    assert all(later.level <= row.level + 1 for row, later in itertools.pairwise(rows))
    named = [row.name for row in rows if row.name]
    genotype = space.sample(np.random.default_rng(0))
    for name in genotype:
        assert any(name == row or name.endswith(f"/{row}") for row in named)
