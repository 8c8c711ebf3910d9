from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.samplers._domains import distribution_of, domain_of, draw, hashable, same

distributions = st.one_of(
    st.lists(st.sampled_from(["a", 1, 2.5, None, False]), min_size=1, unique=True).map(
        CategoricalDistribution
    ),
    st.builds(
        lambda low, size, step: IntDistribution(low, low + size * step, step=step),
        st.integers(-50, 50),
        st.integers(0, 20),
        st.integers(1, 4),
    ),
    st.builds(
        lambda low, factor: IntDistribution(low, low * factor, log=True),
        st.integers(1, 20),
        st.integers(1, 50),
    ),
    st.builds(
        lambda low, size: FloatDistribution(low, low + size), st.floats(-9, 9), st.floats(0, 9)
    ),
    st.builds(
        lambda low, count, step: FloatDistribution(low / 8, low / 8 + count * step, step=step),
        st.integers(-80, 80),
        st.integers(0, 300),
        st.sampled_from([0.125, 0.25, 3.0]),
    ),
    st.builds(lambda f: FloatDistribution(1e-6, 1e-6 * f, log=True), st.floats(1, 1e6)),
)


@given(distributions)
def test_round_trip(distribution):
    assert distribution_of(domain_of(distribution)) == distribution


@given(distributions, st.integers(0, 2**32))
def test_drawn_values_are_plain_and_inside(distribution, seed):
    value = draw(distribution, np.random.default_rng(seed))
    assert distribution._contains(distribution.to_internal_repr(value))
    assert type(value) in (bool, int, float, str, type(None))


def test_the_last_step_does_not_pass_the_end():
    distribution = FloatDistribution(-10.2, 10.2, step=0.1)  # -10.2 + 204 * 0.1 > 10.2
    rng = np.random.default_rng(0)
    assert max(draw(distribution, rng) for _ in range(2000)) == 10.2


def test_choices_that_are_equal_count_once():
    assert domain_of(CategoricalDistribution([1, 1.0, True, 0])).size == 2


def test_other_distributions_are_refused():
    class Odd(BaseDistribution):
        def to_internal_repr(self, value):
            return 0.0

        def single(self):
            return False

        def _contains(self, value):
            return True

    with pytest.raises(TypeError, match="Odd"):
        domain_of(Odd())


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (CategoricalDistribution(("a", 1)), CategoricalDistribution(("a", 1)), True),
        (CategoricalDistribution((0, 1)), CategoricalDistribution((False, True)), False),
        (CategoricalDistribution((1, 2)), CategoricalDistribution((1.0, 2)), False),
        (CategoricalDistribution((1, 2)), CategoricalDistribution((1,)), False),
        (CategoricalDistribution((float("nan"),)), CategoricalDistribution((float("nan"),)), True),
        (IntDistribution(1, 9), IntDistribution(1, 9), True),
        (IntDistribution(1, 9), IntDistribution(1, 9, log=True), False),
        (IntDistribution(1, 9), FloatDistribution(1, 9), False),
        (IntDistribution(1, 9), CategoricalDistribution((1, 9)), False),
    ],
)
def test_same_distributions(a, b, expected):
    assert same(a, b) is expected
    assert same(b, a) is expected
    assert same(a, a)


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_lists_and_dictionaries_can_be_choices():
    choices = ([64, 32], {"units": [8]}, {1, 2})
    domain = domain_of(CategoricalDistribution(choices))
    assert domain.choices == choices
    assert len(set(domain.choices)) == 3
    assert [repr(choice) for choice in domain.choices[:2]] == ["[64, 32]", "{'units': [8]}"]


def test_other_unhashable_choices_are_refused():
    with pytest.raises(TypeError, match=r"must be hashable, .*Suggest a name"):
        hashable(bytearray(b"x"))
