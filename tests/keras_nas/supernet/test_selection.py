from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from keras_nas.supernet.selection import select_by_perturbation
from optuna_nas import SearchSpace
from optuna_nas.space import Choice, conv, global_average_pooling, identity
from optuna_nas.spaces import chain_cnn, darts, nas_bench_201
from optuna_nas.supergraph import Gates, SuperGraph

NB201 = SuperGraph.of(nas_bench_201(input_shape=(8, 8, 3), channels=2, cells=1))
DARTS = SuperGraph.of(
    darts(
        input_shape=(8, 8, 3),
        channels=2,
        cells=3,
        nodes=2,
        operations=("none", "skip_connect", "sep_conv_3x3"),
    )
)


def mixture(supergraph: SuperGraph) -> dict[str, np.ndarray]:
    return {
        n: np.full(d.size, 1.0 if d.options else 1 / d.size)
        for n, d in supergraph.decisions.items()
    }


class Toy:
    """A supernet whose accuracy is a weighed sum of its gates."""

    def __init__(self, worth: Mapping[str, np.ndarray]) -> None:
        self.worth = worth
        self.measured: list[Gates] = []
        self.tuned: list[Gates] = []

    def accuracy(self, gates: Gates) -> float:
        self.measured.append({name: gate.copy() for name, gate in gates.items()})
        return float(sum(gates[name] @ worth for name, worth in self.worth.items()))

    def tune(self, gates: Gates) -> None:
        self.tuned.append({name: gate.copy() for name, gate in gates.items()})


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_missed_most_is_kept(seed: int) -> None:
    rng = np.random.default_rng(seed)
    worth = {n: rng.random(5) for n in NB201.decisions}
    toy = Toy(worth)
    # Large gates of operations that don't matter must not decide.
    gates = mixture(NB201)

    chosen = select_by_perturbation(NB201, gates, toy.accuracy, toy.tune, rng)

    assert chosen == {n: d.values[int(worth[n].argmax())] for n, d in NB201.decisions.items()}
    assert len(toy.measured) == 6 * 5
    assert len(toy.tuned) == 6
    assert all(gate.tolist() == [0.2] * 5 for gate in gates.values())


def test_only_one_gate_is_closed_and_the_others_stay() -> None:
    toy = Toy({})
    select_by_perturbation(NB201, mixture(NB201), toy.accuracy, toy.tune, np.random.default_rng(0))

    first = toy.measured[:5]
    (name,) = {n for gates in first for n in gates if gates[n].min() == 0}
    assert [gates[name].tolist() for gates in first] == [
        [0.0 if k == closed else 0.2 for k in range(5)] for closed in range(5)
    ]
    assert sorted(toy.tuned[0][name].tolist()) == [0, 0, 0, 0, 1]
    assert all(gates[name].tolist() == toy.tuned[0][name].tolist() for gates in toy.measured[5:])


def test_a_later_decision_sees_earlier_ones() -> None:
    """Two equal operations: one of them is enough, the second choice takes the other."""
    first, second = list(NB201.decisions)[:2]

    def accuracy(gates: Gates) -> float:
        conv_somewhere = max(gates[first][3], gates[second][3])
        return float(conv_somewhere + 0.1 * (gates[first][1] + gates[second][1]))

    chosen = select_by_perturbation(
        NB201, mixture(NB201), accuracy, lambda gates: None, np.random.default_rng(0)
    )

    # While both are open the loss of one convolution is made up for by the other.
    assert sorted([chosen[first], chosen[second]]) == ["nor_conv_3x3", "skip_connect"]


def test_edges_are_pruned_to_those_missed_most_after_the_operations() -> None:
    rng = np.random.default_rng(0)
    worth = {
        n: rng.random(d.size)
        if d.options is None
        else rng.permutation(np.arange(d.size, dtype=float))
        for n, d in DARTS.decisions.items()
    }
    for n, d in DARTS.decisions.items():
        if d.options is None:
            worth[n][0] = 9.0  # "none" would win, were it not left out
    toy = Toy(worth)

    chosen = select_by_perturbation(DARTS, mixture(DARTS), toy.accuracy, toy.tune, rng)

    best = sorted(np.argsort(worth["normal/node3/inputs"])[-2:])
    assert chosen["normal/node3/inputs"] == "+".join(map(str, best))
    assert "none" not in chosen.values()
    # Not for the first node of each cell, which reads the only two that there are.
    assert len(toy.tuned) == len(DARTS.decisions) - 2
    assert DARTS.space.genotype(chosen).params == chosen
    subsets = [n for n, d in DARTS.decisions.items() if d.options]
    with_operations_open = [
        gates for gates in toy.tuned if any(gates[n].max() < 1 for n in DARTS.decisions)
    ]
    assert all(gates[n].min() == 1 for gates in with_operations_open for n in subsets)


@pytest.mark.parametrize("space", [chain_cnn(), NB201.space, DARTS.space], ids=lambda s: s.name)
def test_decisions_are_those_of_one_architecture(space: SearchSpace) -> None:
    supergraph = SuperGraph.of(space)
    rng = np.random.default_rng(0)
    toy = Toy({n: rng.random(d.size) for n, d in supergraph.decisions.items()})

    chosen = select_by_perturbation(supergraph, mixture(supergraph), toy.accuracy, toy.tune, rng)

    genotype = space.sample(np.random.default_rng(1)).params
    others = {n: v for n, v in genotype.items() if n not in supergraph.decisions}
    assert space.genotype({**others, **chosen}).params.items() >= chosen.items()


def test_choices_inside_of_what_is_not_chosen_are_not_measured() -> None:
    inner = Choice("kernel", [1, 3, 5])
    space = SearchSpace(
        "nested",
        input_shape=(6, 6, 2),
        classes=2,
        body=[
            Choice("op", {"conv": conv(2, inner), "skip": identity()}),
            global_average_pooling(),
        ],
    )
    supergraph = SuperGraph.of(space)
    toy = Toy({"op": np.array([0.0, 1.0])})

    chosen = select_by_perturbation(
        supergraph, mixture(supergraph), toy.accuracy, toy.tune, np.random.default_rng(0)
    )

    assert chosen == {"op": "skip"}
    assert len(toy.measured) == 2
    assert len(toy.tuned) == 1
