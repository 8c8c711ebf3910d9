from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search import ParameterEncoding, SpaceEncoding
from optuna_nas.space import Choice, Repeat, SearchSpace, conv, global_average_pooling, identity
from optuna_nas.space.decisions import Categorical, FloatRange, IntegerRange
from optuna_nas.spaces import nas_bench_201

domains = st.one_of(
    st.integers(1, 5).map(lambda n: Categorical(tuple(f"v{i}" for i in range(n)))),
    st.builds(
        lambda low, size: IntegerRange(low, low + size), st.integers(-5, 5), st.integers(0, 9)
    ),
    st.builds(lambda low: FloatRange(low, low + 1.0), st.floats(-5, 5)),
    st.builds(lambda n: FloatRange(0.0, n * 0.25, step=0.25), st.integers(0, 6)),
)
spaces = st.dictionaries(st.text("abc", min_size=1, max_size=3), domains, min_size=1, max_size=6)
seeds = st.integers(0, 2**32)


def first(identities):
    return next(iter(identities))


@given(space=spaces, seed=seeds)
def test_mutation_changes_exactly_one_decision(space, seed):
    rng = np.random.default_rng(seed)
    encoding = ParameterEncoding()
    parent = encoding.random(space, rng)
    child = encoding.mutate(parent, space, space.keys(), rng)
    if child is None:
        assert all(domain.size == 1 for domain in space.values())
        return
    changed = [name for name in space if parent[name] != child[name]]
    assert len(changed) == 1
    assert space[changed[0]].normalise(child[changed[0]]) is not None
    assert list(child) == list(parent)


def test_every_decision_and_value_is_as_likely():
    rng = np.random.default_rng(0)
    space = {"a": Categorical(("x", "y", "z")), "b": IntegerRange(0, 2)}
    parent = {"a": "x", "b": 1}
    children = [ParameterEncoding().mutate(parent, space, space.keys(), rng) for _ in range(4000)]
    for expected in ({"a": "y"}, {"a": "z"}, {"b": 0}, {"b": 2}):
        share = np.mean([child == {**parent, **expected} for child in children])
        assert abs(share - 0.25) < 0.03


def test_only_free_decisions_change():
    rng = np.random.default_rng(0)
    space = {"a": Categorical((0, 1)), "b": Categorical((0, 1))}
    encoding = ParameterEncoding()
    assert encoding.mutate({"a": 0, "b": 0}, space, {"b"}, rng) == {"a": 0, "b": 1}
    assert encoding.mutate({"a": 0, "b": 0}, space, set(), rng) is None


@given(a=spaces, b=spaces, seed=seeds)
def test_crossover_holds_the_decisions_of_both_parents(a, b, seed):
    rng = np.random.default_rng(seed)
    encoding = ParameterEncoding()
    parents = encoding.random(a, rng), encoding.random(b, rng)
    child = encoding.crossover(*parents, rng)
    assert child.keys() == parents[0].keys() | parents[1].keys()
    assert all(child[n] in [p[n] for p in parents if n in p] for n in child)


@given(st.lists(st.fixed_dictionaries({n: st.integers(0, 4) for n in "abcdef"}), max_size=60))
def test_identities_are_equal_exactly_for_equal_params(many):
    encoding = ParameterEncoding()
    for one in many:
        for other in many:
            same = first(encoding.identities(one)) == first(encoding.identities(other))
            assert same == (one == other)


def test_all_identities_of_a_space_differ():
    # Sums of badly mixed hashes collide already at this size.
    encoding = ParameterEncoding()
    values = np.stack(np.meshgrid(*[np.arange(5)] * 6), axis=-1).reshape(-1, 6).tolist()
    identities = {
        first(encoding.identities({f"edge{i}": v for i, v in enumerate(row)})) for row in values
    }
    assert len(identities) == 5**6


def test_identity_knows_types_and_ignores_order():
    encoding = ParameterEncoding()
    one = first(encoding.identities({"a": 1, "b": "x"}))
    assert first(encoding.identities({"b": "x", "a": 1})) == one
    assert first(encoding.identities({"a": True, "b": "x"})) != one
    assert first(encoding.identities({"a": [1, 2]})) == first(encoding.identities({"a": [1, 2]}))


def test_candidate_that_will_drop_decisions_is_recognised():
    encoding = ParameterEncoding()
    shallow = {"layers": 1, "layer0": "conv"}
    encoding.learn(shallow)
    child = {"layers": 1, "layer0": "conv", "layer1": "pool"}  # its parent had two layers
    assert first(encoding.identities(shallow)) in set(encoding.identities(child))
    other = {**child, "layer0": "pool"}
    assert first(encoding.identities(shallow)) not in set(encoding.identities(other))


def test_remembered_shapes_are_bounded():
    encoding = ParameterEncoding()
    for number in range(3 * encoding.MAX_SHAPES):
        encoding.learn({f"only{number}": 0})
    everything = {f"only{number}": 0 for number in range(3 * encoding.MAX_SHAPES)}
    assert len(list(encoding.identities(everything))) == 1 + encoding.MAX_SHAPES


# --- with a declared space -----------------------------------------------------------------------

NB201 = nas_bench_201(input_shape=(8, 8, 1), channels=2, cells=1)
CHAIN = SearchSpace(
    "chain",
    input_shape=(8, 8, 1),
    classes=3,
    body=[
        Repeat("block", 1, 3, Choice("op", {"conv": conv(2, 3), "skip": identity()})),
        global_average_pooling(),
    ],
)


def cell(*operations):
    names = list(NB201.distributions())
    return dict(zip(names, operations, strict=True))


def test_equal_networks_have_one_identity():
    encoding = SpaceEncoding(NB201)
    conv3, none = "nor_conv_3x3", "none"
    # The edges into a node that nobody reads do not matter; names: 0->1 0->2 1->2 0->3 1->3 2->3.
    a = cell(conv3, none, none, conv3, none, none)
    b = cell(none, conv3, none, conv3, none, none)
    assert first(encoding.identities(a)) == first(encoding.identities(b))
    c = cell(none, conv3, none, "nor_conv_1x1", none, none)
    assert first(encoding.identities(a)) != first(encoding.identities(c))


def test_decisions_beside_the_space_count_and_vary():
    rng = np.random.default_rng(0)
    encoding = SpaceEncoding(CHAIN)
    extra = {"rate": Categorical((1, 2, 3))}
    parent = encoding.random(extra, rng)
    assert "rate" in parent
    children = [
        encoding.mutate(parent, extra, {*CHAIN.distributions(), "rate"}, rng) for _ in range(100)
    ]
    assert {child["rate"] for child in children} == {1, 2, 3}
    for child in children:
        structural = {name: value for name, value in child.items() if name != "rate"}
        assert CHAIN.genotype(child).params == structural
        assert structural == CHAIN.genotype(parent).params or child["rate"] == parent["rate"]
    same_network = {**parent, "rate": 1 + parent["rate"] % 3}
    assert first(encoding.identities(parent)) != first(encoding.identities(same_network))


def test_crossover_stays_in_the_space():
    rng = np.random.default_rng(0)
    encoding = SpaceEncoding(CHAIN)
    for _ in range(30):
        a, b = encoding.random({}, rng), encoding.random({}, rng)
        assert CHAIN.genotype(encoding.crossover(a, b, rng)).params


def test_what_does_not_fit_the_space_is_taken_as_plain_parameters():
    rng = np.random.default_rng(0)
    encoding = SpaceEncoding(NB201)
    odd = {"cell/0->1": "no such operation", "other": 1}
    assert len(list(encoding.identities(odd))) == 1
    known = {"other": IntegerRange(0, 9)}
    assert encoding.mutate(odd, known, {"other"}, rng)["other"] != 1
    assert encoding.crossover(odd, odd, rng) == odd


def test_fixed_decisions_of_a_space_stay():
    rng = np.random.default_rng(0)
    encoding = SpaceEncoding(NB201)
    parent = encoding.random({}, rng)
    free = {name for name in parent if name != "cell/0->1"}
    for _ in range(50):
        child = encoding.mutate(parent, {}, free, rng)
        assert child["cell/0->1"] == parent["cell/0->1"]
        assert sum(child[name] != parent[name] for name in parent) == 1


def test_a_known_canonical_id_is_not_computed_again():
    encoding = SpaceEncoding(NB201)
    params = NB201.sample(np.random.default_rng(1)).params
    canonical = NB201.graph(NB201.genotype(params)).canonical_id
    assert list(encoding.identities(params)) == list(encoding.identities(params, canonical))
    assert list(encoding.identities(params)) != list(encoding.identities(params, "another"))


def test_candidates_are_completed_as_far_as_it_is_known():
    many = {"depth": IntegerRange(1, 3), "op0": Categorical("ab"), "op1": Categorical("ab")}
    encoding = ParameterEncoding()
    everything = encoding.complete({"depth": 1}, many, np.random.default_rng(0))
    assert everything.keys() == many.keys()
    encoding.learn({"depth": 1, "op0": "a"})
    encoding.learn({"depth": 2, "op0": "b", "op1": "a"})
    rng = np.random.default_rng(0)
    assert encoding.complete({"depth": 1, "op0": "a", "op1": "b"}, many, rng) == {
        "depth": 1,
        "op0": "a",
    }
    drawn = [encoding.complete({"depth": 2, "op0": "a"}, many, rng) for _ in range(30)]
    assert {frozenset(d) for d in drawn} == {frozenset(many)}
    assert {d["op1"] for d in drawn} == {"a", "b"}
    assert encoding.complete({"depth": 2, "op0": "a"}, {}, rng) == {"depth": 2, "op0": "a"}


def test_a_space_knows_what_exists():
    space = SearchSpace(
        "rows",
        input_shape=(8, 8, 3),
        classes=4,
        body=[
            Repeat("layer", 1, 3, body=Choice("block", {"conv": conv(8, 3), "skip": identity()})),
            global_average_pooling(),
        ],
    )
    encoding, rng = SpaceEncoding(space), np.random.default_rng(0)
    whole = {**encoding.random(space.distributions(), rng), "layer/depth": 3}
    free = {**space.distributions(), "rate": FloatRange(0.0, 1.0)}
    complete = encoding.complete({**whole, "layer/depth": 2}, free, rng)
    assert set(complete) == {"layer/depth", "layer/0/block", "layer/1/block", "rate"}
    assert complete == encoding.complete(complete, free, rng)
    assert space.genotype(complete)


def test_with_costs_equal_functions_are_several_candidates():
    # Edge 0->1 leads to a node that nobody reads.
    dead = {**dict.fromkeys(NB201.distributions(), "none"), "cell/0->3": "nor_conv_3x3"}
    built = {**dead, "cell/0->1": "nor_conv_1x1"}
    for by_function in (True, False):
        encoding = SpaceEncoding(NB201, by_function=by_function)
        same = next(encoding.identities(dead)) == next(encoding.identities(built))
        assert same == by_function
