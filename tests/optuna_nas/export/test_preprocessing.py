from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.errors import ExportError
from optuna_nas.export import Preprocessing

numbers = st.floats(-100, 100, width=32)
scales = st.floats(0.125, 8, width=32)


@st.composite
def preprocessings(draw: st.DrawFn, channels: int = 3) -> Preprocessing:
    lists = {"min_size": channels, "max_size": channels}
    mean = draw(st.one_of(numbers, st.lists(numbers, **lists)))
    scale = draw(st.one_of(scales, st.lists(scales, **lists)))
    return Preprocessing(mean, scale)


@given(preprocessings())
def test_round_trip_through_json(before):
    again = Preprocessing.from_dict(json.loads(json.dumps(before.to_dict())))
    assert again == before
    assert hash(again) == hash(before)


@given(preprocessings(), preprocessings())
def test_two_in_one(first, second):
    x = np.linspace(-5, 5, 12).reshape(4, 3)
    apart = second.apply(first.apply(x))
    together = first.then(second).apply(x)
    # The sizes the intermediate values pass through are what float32 loses digits of.
    size = np.abs(first.apply(x)).max() + np.abs(second.mean).max() + np.abs(first.mean).max() * 8
    np.testing.assert_allclose(together, apart, atol=1e-4 * size * 8)


def test_apply_centres_then_scales_in_float32():
    result = Preprocessing([1, 2], 10).apply(np.array([[1, 3], [2, 2]]))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [[0, 10], [10, 0]])


def test_values_are_the_callers_no_longer():
    mean = np.array([1.0, 2.0])
    before = Preprocessing(mean, 1.0)
    mean[0] = 5.0
    assert before.mean[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        before.mean[0] = 3.0


@pytest.mark.parametrize(
    ("mean", "scale", "message"),
    [
        (np.nan, 1.0, "mean: expected finite"),
        (0.0, np.inf, "scale: expected finite"),
        (np.zeros((2, 2)), 1.0, "got shape"),
        ([1, 2], [1, 2, 3], "one length"),
    ],
)
def test_wrong_values(mean, scale, message):
    with pytest.raises(ExportError, match=message):
        Preprocessing(mean, scale)


def test_nothing_can_follow_a_scale_of_zero():
    with pytest.raises(ExportError, match="other than zero"):
        Preprocessing(0.0, 0.0).then(Preprocessing(1.0, 1.0))


def test_equality():
    assert Preprocessing(1, 2) == Preprocessing(1.0, 2.0)
    assert Preprocessing(1, 2) != Preprocessing(1, 3)
    assert Preprocessing(1, 2) != "something else"
