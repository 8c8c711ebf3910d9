from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from keras_nas.supernet.expected_cost import (
    CostTerm,
    ExpectedCost,
    absolute,
    logarithmic,
    macs,
    proportional,
)
from optuna_nas import SearchSpace
from optuna_nas.graph import Shape
from optuna_nas.space import Choice, Repeat, conv, global_average_pooling, identity, max_pooling
from optuna_nas.spaces import chain_cnn, darts, nas_bench_201, tabular_mlp
from optuna_nas.supergraph import TAKE, SuperGraph, SuperLayer

NB201 = nas_bench_201(input_shape=(8, 8, 3), channels=2, cells=1)
DARTS = darts(input_shape=(8, 8, 3), channels=2, cells=3, nodes=2)
WIDE = SearchSpace(
    "wide",
    input_shape=(4, 4, 1),
    classes=3,
    body=[
        conv(filters=Choice("stem", [2, 4]), kernel=1),
        Repeat("stage", 1, 3, body=Choice("block", {"conv": conv(4, 3), "skip": identity()})),
        Choice(
            "last",
            {"wide": conv(filters=Choice("units", [3, 6]), kernel=1), "pool": max_pooling(1)},
        ),
        global_average_pooling(),
    ],
)


def random_gates(supergraph: SuperGraph, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.random(d.size) for name, d in supergraph.decisions.items()}


@pytest.mark.parametrize(
    "space", [NB201, DARTS, WIDE, chain_cnn(), tabular_mlp()], ids=lambda s: s.name
)
def test_one_architecture_costs_what_its_graph_says(space: SearchSpace) -> None:
    supergraph = SuperGraph.of(space)
    cost = ExpectedCost(supergraph)
    rng = np.random.default_rng(0)

    for _ in range(8):
        genotype = space.sample(rng)
        value, _ = cost(supergraph.hot(genotype.params))
        assert value == pytest.approx(space.graph(genotype).macs, rel=1e-12)


@pytest.mark.parametrize("space", [NB201, DARTS, WIDE], ids=lambda s: s.name)
def test_gradient_is_the_slope(space: SearchSpace) -> None:
    supergraph = SuperGraph.of(space)
    cost = ExpectedCost(supergraph)
    gates = random_gates(supergraph, 1)

    value, gradient = cost(gates)

    for name, gate in gates.items():
        for k in range(min(3, gate.size)):
            h = 1e-4 * np.eye(gate.size)[k]
            ahead, behind = (cost({**gates, name: gate + s * h})[0] for s in (1, -1))
            assert gradient[name][k] == pytest.approx(
                (ahead - behind) / 2e-4, rel=1e-6, abs=1e-6 * value
            )


def test_the_mean_over_drawn_architectures_is_the_cost_of_their_probabilities() -> None:
    supergraph = SuperGraph.of(NB201)
    cost = ExpectedCost(supergraph)
    rng = np.random.default_rng(0)
    shares = {n: rng.dirichlet(np.ones(d.size)) for n, d in supergraph.decisions.items()}
    few = list(shares)[:2]
    fixed = {n: d.hot(d.values[0]) for n, d in supergraph.decisions.items()}

    mean = 0.0
    for positions in itertools.product(range(5), repeat=2):
        hot = {n: np.eye(5)[k] for n, k in zip(few, positions, strict=True)}
        chance = np.prod([shares[n][k] for n, k in zip(few, positions, strict=True)])
        mean += chance * cost({**fixed, **hot})[0]

    assert cost({**fixed, **{n: shares[n] for n in few}})[0] == pytest.approx(mean)


def test_a_value_by_hand() -> None:
    space = SearchSpace(
        "hand",
        input_shape=(4, 4, 2),
        classes=3,
        body=[
            Choice("op", {"small": conv(2, 1), "large": conv(2, 3), "skip": identity()}),
            global_average_pooling(),
        ],
    )
    supergraph = SuperGraph.of(space)
    # 1x1: 16 * 2 * 2 = 64; 3x3: 576; the logits: 2 * 3 + 3 for the bias.
    value, gradient = ExpectedCost(supergraph)({"op": np.array([0.5, 0.25, 0.25])})

    assert value == pytest.approx(9 + 32 + 144)
    assert gradient["op"].tolist() == [64, 576, 0]


def test_another_cost_is_told_the_shapes() -> None:
    asked: list[tuple[str, list[Shape], Shape]] = []

    def milliseconds(layer: SuperLayer, inputs: Sequence[Shape], output: Shape) -> float:
        asked.append((layer.op, list(inputs), output))
        return float(layer.op == "conv2d") * output[-1]

    supergraph = SuperGraph.of(WIDE)
    gates = {n: d.hot(d.values[-1]) for n, d in supergraph.decisions.items()}
    gates["stem"] = np.array([0.5, 0.5])
    gates["last"] = np.array([1.0, 0.0])

    value, _ = ExpectedCost(supergraph, milliseconds)(gates)

    assert value == pytest.approx(3 + 6)
    assert ("conv2d", [(4, 4, 1)], (4, 4, 2)) in asked
    assert ("conv2d", [(4, 4, 1)], (4, 4, 4)) in asked


@pytest.mark.parametrize(
    ("op", "attributes"), [("activation", {"function": "relu"}), (TAKE, {"channels": (0, 1)})]
)
def test_layers_that_count_nothing_cost_nothing(op: str, attributes: dict[str, object]) -> None:
    assert macs(SuperLayer("x", op, attributes, ("input",), "x"), [(4, 4, 3)], (4, 4, 2)) == 0


@pytest.mark.parametrize("term", [proportional(50, 0.3), logarithmic(50), absolute(50, 0.2)])
def test_slopes_of_cost_terms(term: CostTerm) -> None:
    for cost in (20.0, 80.0):
        (_, slope), (ahead, _), (behind, _) = (term(cost + h) for h in (0, 1e-5, -1e-5))
        assert slope == pytest.approx((ahead - behind) / 2e-5, rel=1e-5)


def test_values_of_cost_terms() -> None:
    assert proportional(50, 0.3)(100)[0] == pytest.approx(0.6)
    assert logarithmic(50)(50)[0] == 0
    assert absolute(50, 0.1)(40)[0] == pytest.approx(0.02)
    assert absolute(50, 0.1)(60)[0] == pytest.approx(0.02)
