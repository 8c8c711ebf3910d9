"""Which hyperparameters a build asks for, and under which values of others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_nas import discovery
from keras_nas._keras_tuner import keras_tuner
from keras_nas.discovery import discover
from optuna_nas.errors import SpaceError


def conditions(build: Any) -> dict[str, tuple[str, tuple[Any, ...]] | None]:
    return {
        name: None if one.parent is None else (one.parent, one.values)
        for name, one in discover(build).items()
    }


def counted(build: Any) -> tuple[Any, list[int]]:
    calls: list[int] = []

    def counting(hp: Any) -> None:
        calls.append(1)
        build(hp)

    return counting, calls


def test_where_nothing_depends_on_anything_a_few_builds_do() -> None:
    def build(hp: Any) -> None:
        hp.Choice("a", ["x", "y", "z"])
        hp.Int("b", 1, 1000)
        hp.Float("c", 1e-4, 1, sampling="log")
        hp.Boolean("d")

    counting, calls = counted(build)
    assert conditions(counting) == dict.fromkeys("abcd")
    assert len(calls) == 1 + 3  # as many as the longest choice has values


def test_a_loop_over_a_depth() -> None:
    def build(hp: Any) -> None:
        for i in range(hp.Int("depth", 1, 4)):
            hp.Int(f"units_{i}", 8, 64)

    assert conditions(build) == {
        "depth": None,
        "units_0": None,
        "units_1": ("depth", (2, 3, 4)),
        "units_2": ("depth", (3, 4)),
        "units_3": ("depth", (4,)),
    }


def test_branches_within_branches() -> None:
    def build(hp: Any) -> None:
        if hp.Choice("kind", ["plain", "deep"]) == "deep" and hp.Boolean("gate"):
            hp.Choice("gate_kind", ["soft", "hard"])
        else:
            hp.Float("rate", 0, 1)

    assert conditions(build) == {
        "kind": None,
        "rate": None,  # under one value of kind, or one of gate: no single parent
        "gate": ("kind", ("deep",)),
        "gate_kind": ("gate", (True,)),
    }


def test_conditional_scopes_are_taken_at_their_word() -> None:
    def build(hp: Any) -> None:
        hp.Int("size", 1, 10**6)
        with hp.conditional_scope("size", [7]):
            hp.Int("detail", 1, 3)

    assert conditions(build) == {"size": None, "detail": ("size", (7,))}


def test_what_hangs_on_a_long_range_always_exists() -> None:
    def build(hp: Any) -> None:
        if hp.Int("size", 1, 10**6) > 1000:
            hp.Int("detail", 1, 3)

    counting, calls = counted(build)
    assert conditions(counting) == {"size": None, "detail": None}
    assert len(calls) < 20


def test_values_with_which_the_build_fails_are_left_to_the_search() -> None:
    def build(hp: Any) -> None:
        if hp.Choice("kind", ["good", "bad", "other"]) == "bad":
            raise ValueError("no")
        if hp.get("kind") == "other":
            hp.Int("extra", 1, 3)
        hp.Int("always", 1, 3)

    assert conditions(build) == {"kind": None, "always": None, "extra": ("kind", ("bad", "other"))}


def test_the_reason_of_a_failure_is_told() -> None:
    def build(hp: Any) -> None:
        raise RuntimeError("no such weights\nand more")

    with pytest.raises(SpaceError, match=r"defaults: RuntimeError: no such weights$"):
        discover(build)


def test_one_name_has_one_range() -> None:
    def build(hp: Any) -> None:
        hp.Int("units", 1, 3 if hp.Boolean("small") else 9)

    with pytest.raises(SpaceError, match=r"'units'.*another range"):
        discover(build)


def test_constants_are_told_apart() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Fixed("fixed", 3)
    hp.Choice("one", ["a"])
    hp.Int("same", 2, 2)
    hp.Boolean("open")
    assert [discovery.is_constant(one) for one in hp.space] == [True, True, True, False]


@given(st.data())
def test_every_decision_of_a_random_tree_is_found(data: st.DataObject) -> None:
    """A random tree of choices, each below one value of its parent, comes back as it was."""
    parents: dict[str, tuple[str, tuple[str, ...]] | None] = {}
    for i in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.sampled_from([None, *parents]))
        value = data.draw(st.sampled_from("xyz"))
        parents[f"h{i}"] = None if place is None else (place, (value,))

    def build(hp: Any) -> None:
        taken: dict[str, str] = {}
        for name, under in parents.items():
            if under is None or taken.get(under[0]) in under[1]:
                taken[name] = hp.Choice(name, ["x", "y", "z"])

    assert conditions(build) == parents
