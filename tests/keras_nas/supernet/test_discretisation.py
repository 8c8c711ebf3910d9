from __future__ import annotations

import numpy as np
import pytest

from keras_nas.supernet.discretisation import discretise, left_out, reached, roles_of, value_logits
from keras_nas.supernet.policies import SoftmaxPolicy
from optuna_nas import SearchSpace
from optuna_nas.space import (
    Choice,
    Repeat,
    Subset,
    conv,
    global_average_pooling,
    identity,
    max_pooling,
    zero,
)
from optuna_nas.spaces import chain_cnn, darts, nas_bench_201
from optuna_nas.supergraph import SuperGraph

NB201 = SuperGraph.of(nas_bench_201(input_shape=(8, 8, 3), channels=2, cells=1))
OPERATIONS = ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3")
DARTS = SuperGraph.of(
    darts(input_shape=(8, 8, 3), channels=2, cells=3, nodes=3, operations=OPERATIONS)
)
EDGES = SuperGraph.of(
    SearchSpace(
        "edges",
        input_shape=(4, 4, 2),
        classes=2,
        body=[
            Subset(
                "edges",
                {k: Choice("op", {"conv": conv(2, 1), "none": zero()}) for k in "abc"},
                1,
                3,
            ),
            global_average_pooling(),
        ],
    )
)


def uniform(supergraph: SuperGraph) -> dict[str, np.ndarray]:
    return SoftmaxPolicy().probabilities(
        supergraph.decisions,
        {n: np.zeros(d.size) for n, d in supergraph.decisions.items() if d.options is None},
    )


def test_a_choice_scores_the_logarithms_of_its_probabilities() -> None:
    probabilities = uniform(NB201) | {"cell/0->1": np.array([0.5, 0.1, 0.2, 0.1, 0.1])}

    logits = value_logits(NB201, probabilities)

    np.testing.assert_allclose(logits["cell/0->1"], np.log([0.5, 0.1, 0.2, 0.1, 0.1]))
    assert discretise(NB201, logits)["cell/0->1"] == "none"  # it is among the choices there
    excluded = value_logits(NB201, probabilities, exclude=("none",))
    assert excluded["cell/0->1"][0] == -np.inf
    assert discretise(NB201, excluded)["cell/0->1"] == NB201.decisions["cell/0->1"].values[2]


def test_an_edge_is_as_strong_as_its_strongest_operation_but_none() -> None:
    probabilities = uniform(DARTS)
    edge = "normal/node4/inputs/{}/operation"
    probabilities[edge.format(0)] = np.array([0.90, 0.04, 0.03, 0.03])  # "none" does not count
    probabilities[edge.format(1)] = np.array([0.10, 0.20, 0.50, 0.20])
    probabilities[edge.format(2)] = np.array([0.10, 0.20, 0.10, 0.60])
    probabilities[edge.format(3)] = np.array([0.25, 0.35, 0.20, 0.20])

    logits = value_logits(DARTS, probabilities)
    chosen = discretise(DARTS, logits)

    values = DARTS.decisions["normal/node4/inputs"].values
    assert chosen["normal/node4/inputs"] == "1+2"
    assert chosen[edge.format(1)] == "sep_conv_3x3"
    assert chosen[edge.format(2)] == "max_pool_3x3"
    assert edge.format(0) not in chosen
    found = dict(zip(values, np.exp(logits["normal/node4/inputs"]), strict=True))
    assert found["1+2"] / found["0+3"] == pytest.approx(0.5 * 0.6 / (0.04 * 0.35))
    assert np.isneginf(logits[edge.format(0)]).tolist() == [True, False, False, False]
    assert DARTS.space.genotype(chosen).params == chosen


def test_edges_with_gates_of_their_own_multiply() -> None:
    probabilities = uniform(DARTS)
    probabilities["normal/node4/inputs"] = np.array([0.1, 0.2, 0.3, 0.4])

    logits = value_logits(DARTS, probabilities)["normal/node4/inputs"]

    assert DARTS.decisions["normal/node4/inputs"].values[int(logits.argmax())] == "2+3"
    assert np.exp(logits.max() - logits.min()) == pytest.approx(0.3 * 0.4 / (0.1 * 0.2))


def test_of_sets_of_any_size_the_one_of_the_edges_above_average_is_best() -> None:
    probabilities = uniform(EDGES)
    for edge, share in zip("abc", (0.8, 0.7, 0.1), strict=True):
        probabilities[f"edges/{edge}/op"] = np.array([share, 1 - share])

    chosen = discretise(EDGES, value_logits(EDGES, probabilities))

    assert chosen == {"edges": "a+b", "edges/a/op": "conv", "edges/b/op": "conv"}


def test_a_probability_of_zero_can_be_chosen_what_is_excluded_can_not() -> None:
    probabilities = uniform(EDGES) | {"edges/a/op": np.array([0.0, 1.0])}

    logits = value_logits(EDGES, probabilities)["edges/a/op"]

    assert np.isfinite(logits[0])
    assert logits[1] == -np.inf


def test_a_choice_keeps_something_where_all_is_excluded() -> None:
    out = left_out(NB201, ("none", "skip", "pool", "operation"))

    assert not any(barred.any() for barred in out.values())


def test_roles_are_those_of_the_values() -> None:
    found = roles_of(NB201)["cell/1->3"]

    assert found == [{"none"}, {"skip"}, {"operation"}, {"operation"}, {"pool"}]


@pytest.mark.parametrize("space", [chain_cnn(), NB201.space, DARTS.space], ids=lambda s: s.name)
def test_decisions_reached_are_those_of_the_genotype(space: SearchSpace) -> None:
    supergraph = SuperGraph.of(space)
    rng = np.random.default_rng(0)
    for _ in range(20):
        params = space.sample(rng).params
        expected = {name for name in params if name in supergraph.decisions}
        gates = {
            n: d.hot(params[n]) if n in params else d.hot(d.values[rng.integers(len(d.values))])
            for n, d in supergraph.decisions.items()
        }
        assert set(reached(supergraph, gates)) == expected


def test_skips_beyond_the_limit_give_way_the_weakest_first() -> None:
    probabilities = uniform(NB201)
    for k, name in enumerate(probabilities):
        skip = 0.5 + 0.01 * k
        probabilities[name] = np.array([0.0, skip, 0.0, 1 - skip, 0.0])
    names = list(probabilities)

    def operations(limit: int | None) -> list[str]:
        logits = value_logits(NB201, probabilities, most_skips=limit)
        chosen = discretise(NB201, logits)
        return [str(chosen[name]) for name in names]

    assert operations(None) == ["skip_connect"] * 6
    assert operations(2) == ["nor_conv_3x3"] * 4 + ["skip_connect"] * 2
    assert operations(0) == ["nor_conv_3x3"] * 6


def test_skips_are_limited_in_each_cell() -> None:
    probabilities = uniform(DARTS)
    for name, decision in DARTS.decisions.items():
        if decision.options is None:
            probabilities[name] = np.array([0.1, 0.6, 0.2, 0.1])

    chosen = discretise(DARTS, value_logits(DARTS, probabilities, most_skips=1))

    assert sum(v == "skip_connect" for n, v in chosen.items() if n.startswith("normal/")) == 1


def test_a_skip_stays_where_there_is_nothing_else() -> None:
    space = SearchSpace(
        "stuck",
        input_shape=(4, 4, 2),
        classes=2,
        body=[Choice("op", {"skip": identity()}), global_average_pooling()],
    )
    supergraph = SuperGraph.of(space)

    logits = value_logits(supergraph, uniform(supergraph), most_skips=0)

    assert discretise(supergraph, logits) == {"op": "skip"} or not supergraph.decisions


def test_depth_and_inner_choices_are_followed() -> None:
    space = SearchSpace(
        "deep",
        input_shape=(8, 8, 2),
        classes=2,
        body=[
            Repeat("stage", 1, 3, body=Choice("op", {"conv": conv(2, 3), "pool": max_pooling(1)})),
            global_average_pooling(),
        ],
    )
    supergraph = SuperGraph.of(space)
    probabilities = uniform(supergraph) | {"stage/depth": np.array([0.2, 0.5, 0.3])}

    chosen = discretise(supergraph, value_logits(supergraph, probabilities))

    assert chosen == {"stage/depth": 2, "stage/0/op": "conv", "stage/1/op": "conv"}
    assert space.genotype(chosen).params == chosen


def test_numbers_of_channels_count_where_their_layer_runs() -> None:
    space = SearchSpace(
        "widths",
        input_shape=(4, 4, 2),
        classes=2,
        body=[
            Choice("op", {"conv": conv(Choice("filters", [1, 2]), 1), "skip": identity()}),
            global_average_pooling(),
        ],
    )
    supergraph = SuperGraph.of(space)
    filters = "op=conv/filters"
    on, off, closed = np.array([0.0, 1.0]), np.array([0.0, 0.0]), np.array([1.0, 0.0])

    assert reached(supergraph, {"op": closed, filters: on}) == ("op", filters)
    assert reached(supergraph, {"op": on, filters: on}) == ("op",)
    assert reached(supergraph, {"op": closed, filters: off}) == ("op", filters)  # still open
