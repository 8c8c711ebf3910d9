"""Which decisions exist together is found out from architectures seen."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.search.activity import Activity
from optuna_nas.space import (
    Choice,
    Integer,
    Repeat,
    SearchSpace,
    conv,
    global_average_pooling,
    max_pooling,
    separable_conv,
)
from optuna_nas.space.decisions import active, decide
from optuna_nas.spaces import chain_cnn


def seen(*architectures: dict[str, object]) -> Activity:
    activity = Activity()
    for params in architectures:
        activity.learn(params)
    return activity


def test_nothing_is_left_out_where_nothing_is_known() -> None:
    params = {"a": 1, "b": "x"}
    assert Activity().active(params) == params
    assert seen({"a": 2, "b": "y"}).active({**params, "new": 3}) == {**params, "new": 3}


def test_a_decision_exists_under_the_values_it_was_seen_under() -> None:
    activity = seen({"op": "conv", "k": 3}, {"op": "pool"}, {"op": "conv", "k": 5}, {"op": "skip"})
    assert activity.active({"op": "pool", "k": 3}) == {"op": "pool"}
    assert activity.active({"op": "conv", "k": 3}) == {"op": "conv", "k": 3}


def test_it_does_not_matter_whether_it_was_there_first() -> None:
    full = {"depth": 2, "op0": "a", "op1": "a"}
    for order in ([full, {"depth": 1, "op0": "a"}], [{"depth": 1, "op0": "a"}, full]):
        activity = seen(*order)
        assert activity.active({**full, "depth": 1}) == {"depth": 1, "op0": "a"}
        assert activity.active(full) == full


def test_numbers_in_between_tell_what_the_nearest_tells() -> None:
    activity = seen({"depth": 1}, {"depth": 9, "op": "a"})
    assert "op" not in activity.active({"depth": 3, "op": "a"})
    assert "op" in activity.active({"depth": 8, "op": "a"})


def test_values_that_nothing_is_known_of_tell_nothing() -> None:
    activity = seen({"op": "a", "k": 1}, {"op": None}, {"op": "b"})
    assert "k" in activity.active({"op": 7, "k": 1})
    assert "k" not in activity.active({"op": None, "k": 1})


def test_what_hangs_on_the_absent_is_absent() -> None:
    nested = [{"a": "x", "b": "y", "c": 1}, {"a": "x", "b": "n"}, {"a": "n"}]
    assert seen(*nested).active({"a": "n", "b": "y", "c": 1}) == {"a": "n"}


def test_a_coincidence_is_given_up() -> None:
    rng = np.random.default_rng(0)
    activity = Activity()
    for i in range(40):
        there = {"extra": 1} if i % 2 else {}  # hangs on nothing that was decided
        activity.learn({"a": int(rng.integers(3)), "b": int(rng.integers(3)), **there})
    assert activity.active({"a": 0, "b": 0, "extra": 1}) == {"a": 0, "b": 0, "extra": 1}


def test_decisions_one_after_the_other() -> None:
    activity = seen(
        {"depth": 1, "units0": 8},
        {"depth": 2, "units0": 8, "units1": 8, "rate1": 0.1},
        {"depth": 2, "units0": 9, "units1": 9, "rate1": 0.2},
    )
    # What comes later tells nothing yet; what was decided, and what was left out, does.
    assert activity.exists("units1", {"depth": 2, "units0": 8}, {"rate1"})
    assert not activity.exists("units1", {"depth": 1, "units0": 8}, {"rate1"})
    assert not activity.exists("rate1", {"depth": 1, "units0": 8}, set())
    assert activity.exists("units0", {"depth": 1}, {"units1", "rate1"})
    assert activity.exists("new", {"depth": 1}, set())


def _nested() -> SearchSpace:
    kernel = Choice("kernel", [1, 3, 5])
    kinds = {
        "conv": conv(4, kernel),
        "separable": separable_conv(4, kernel),
        "pool": max_pooling(Integer("size", 1, 3), 1),
    }
    body = [Repeat("layer", 1, 6, Choice("op", kinds)), global_average_pooling()]
    return SearchSpace("nested", input_shape=(8, 8, 1), classes=3, body=body)


@pytest.mark.parametrize("space", [_nested(), chain_cnn(max_blocks=4)], ids=lambda s: s.name)
def test_a_whole_tree_is_found_out(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    activity = Activity()
    for _ in range(120):
        activity.learn(decide(space.points, lambda point: point.domain.sample(rng)))
    for _ in range(50):
        everything = {n: domain.sample(rng) for n, domain in space.distributions().items()}
        expected = [point.name for point in active(space.points, everything)]
        assert set(activity.active(everything)) == set(expected)


def test_what_is_kept_does_not_grow() -> None:
    rng = np.random.default_rng(0)
    activity = Activity()
    for i in range(200):
        branch = {f"b{k}": float(rng.random()) for k in range(30)} if i % 2 else {}
        activity.learn({"switch": bool(i % 2), "x": float(rng.random()), **branch})
    assert all(len(tables) <= Activity.MAX_TELLING for tables in activity._tables.values())
    assert all(len(v) <= Activity.MAX_VALUES + 1 for v in activity._values.values())
    assert "b3" not in activity.active({"switch": False, "x": 0.5, "b3": 0.1})
