from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.space import (
    Choice,
    Repeat,
    Scope,
    SearchSpace,
    conv,
    global_average_pooling,
    identity,
)
from optuna_nas.space.crossover import (
    cross_params,
    crossover_of,
    substructures,
    subtree,
    two_point,
    uniform,
)

KINDS = ("uniform", "two-point", "subtree")
NAMES = tuple("abcdef")
seeds = st.integers(0, 2**32)


@given(seed=seeds, count=st.integers(2, 6))
def test_two_points_cut_out_a_segment_that_is_not_all(seed, count):
    chosen = two_point(NAMES[:count], np.random.default_rng(seed))
    positions = [NAMES.index(name) for name in sorted(chosen)]
    assert 0 < len(chosen) < count
    assert positions == list(range(positions[0], positions[-1] + 1))


def test_two_points_cut_everywhere_alike():
    rng = np.random.default_rng(0)
    drawn = ["".join(sorted(two_point(NAMES[:3], rng))) for _ in range(3000)]
    assert {one: drawn.count(one) / 3000 for one in set(drawn)} == pytest.approx(
        dict.fromkeys(["a", "b", "c", "ab", "bc"], 1 / 5), abs=0.04
    )


def test_uniform_takes_half_and_a_single_difference_comes_from_either():
    rng = np.random.default_rng(0)
    assert np.mean([len(uniform(NAMES, rng)) for _ in range(500)]) == pytest.approx(3, abs=0.2)
    for kind in KINDS:
        assert {frozenset(crossover_of(kind)(["a"], rng)) for _ in range(40)} == {
            frozenset(),
            frozenset("a"),
        }
        assert crossover_of(kind)([], rng) == set()


def test_substructures_of_paths_and_of_names_with_numbers():
    paths = ["stem", "stage/0/op", "stage/0/op=conv/kernel", "stage/1/op"]
    groups = set(substructures(paths))
    assert groups == {
        *((name,) for name in paths),
        ("stage/0/op", "stage/0/op=conv/kernel"),
        ("stage/0/op", "stage/0/op=conv/kernel", "stage/1/op"),
    }
    flat = ["lr", "s0_l0_units", "s0_l1_units", "s1_l0_units", "s0_l0_rate"]
    groups = set(substructures(flat))
    assert ("s0_l0_units", "s0_l1_units", "s0_l0_rate") in groups  # stage 0
    assert ("s0_l0_units", "s0_l0_rate") in groups  # its layer 0
    assert len(groups) == len(flat) + 2


def test_subtree_draws_each_part_alike():
    names = ["a/x", "a/y", "b"]
    rng = np.random.default_rng(0)
    drawn = [tuple(sorted(subtree(names, rng))) for _ in range(2000)]
    assert {one: drawn.count(one) / 2000 for one in set(drawn)} == pytest.approx(
        dict.fromkeys([("a/x", "a/y"), ("a/x",), ("a/y",), ("b",)], 1 / 4), abs=0.04
    )


def block(name: str) -> Choice:
    return Choice(
        name, {"conv": conv(Choice("f", [2, 4, 6]), Choice("k", [1, 3])), "skip": identity()}
    )


SPACE = SearchSpace(
    "nested",
    input_shape=(8, 8, 1),
    classes=3,
    body=[
        Scope("stem", conv(Choice("f", [2, 4]), Choice("k", [1, 3]))),
        Repeat("stage", 1, 3, [block("first"), block("second")]),
        global_average_pooling(),
    ],
)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds)
def test_children_are_whole_genotypes_made_of_their_parents(kind, seed):
    rng = np.random.default_rng(seed)
    a, b = SPACE.sample(rng), SPACE.sample(rng)
    child = SPACE.crossover(a, b, rng, kind)
    assert SPACE.genotype(child) == child
    for name, value in child.items():
        inherited = [parent[name] for parent in (a, b) if name in parent]
        assert value in inherited or not inherited
    assert SPACE.crossover(a, a, rng, kind) == a


@given(seed=seeds)
def test_subtree_exchanges_one_part_and_keeps_the_rest(seed):
    rng = np.random.default_rng(seed)
    a, b = SPACE.sample(rng), SPACE.sample(rng)
    child = SPACE.crossover(a, b, rng, "subtree")
    changed = [name for name in a if name in b and child.get(name) == b[name] != a[name]]
    differing = [name for name in a if name in b and a[name] != b[name]]
    assert not changed or tuple(changed) in set(substructures(differing))
    if "stage/depth" not in changed:
        whole = [n for n in changed if n.startswith("stage/0/")]
        if len(whole) == len([n for n in differing if n.startswith("stage/0/")]) > 0:
            ours, theirs = (
                {n: v for n, v in g.items() if n.startswith("stage/0/")} for g in (child, b)
            )
            assert ours == theirs  # all that the copy is, whatever hangs on its decisions


@given(seed=seeds)
def test_plain_params_keep_what_only_one_parent_took(seed):
    rng = np.random.default_rng(seed)
    a, b = {"depth": 1, "units_0": 8}, {"depth": 2, "units_0": 16, "units_1": 32}
    for kind in KINDS:
        child = cross_params(a, b, rng, crossover_of(kind))
        assert list(child) == ["depth", "units_0", "units_1"]
        assert child["units_1"] == 32


def test_unknown_kind():
    with pytest.raises(ValueError, match="crossover must be one of uniform, two-point, subtree"):
        crossover_of("three-point")
