from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search.policy.cells import BINS, cells_of
from optuna_nas.space.decisions import Categorical, FloatRange, IntegerRange

domains = st.one_of(
    st.lists(st.sampled_from(["a", 1, 2.5, False]), min_size=1, unique_by=repr).map(
        lambda choices: Categorical(tuple(choices))
    ),
    st.builds(
        lambda low, size, step: IntegerRange(low, low + size * step, step),
        st.integers(-50, 50),
        st.integers(0, 10**6),
        st.integers(1, 4),
    ),
    st.builds(
        lambda low, factor: IntegerRange(low, low * factor, log=True),
        st.integers(1, 20),
        st.integers(1, 10**6),
    ),
    st.builds(lambda low, size: FloatRange(low, low + size), st.floats(-9, 9), st.floats(0, 9)),
    st.builds(
        lambda low, count, step: FloatRange(low / 8, low / 8 + count * step, step=step),
        st.integers(-80, 80),
        st.integers(0, 300),
        st.sampled_from([0.125, 0.25, 3.0]),
    ),
    st.builds(lambda f: FloatRange(1e-6, 1e-6 * f, log=True), st.floats(1, 1e6)),
)


@given(domains, st.integers(0, 2**32))
def test_what_a_cell_draws_lies_in_the_domain_and_in_the_cell(domain, seed):
    cells = cells_of(domain)
    rng = np.random.default_rng(seed)
    assert 1 <= len(cells) <= max(16, len(getattr(domain, "choices", ())))
    narrow = isinstance(domain, FloatRange) and domain.high - domain.low < 1e-9
    for cell in range(len(cells)):
        value = cells.draw(cell, rng)
        assert domain.normalise(value) == value
        assert type(value) in (bool, int, float, str)
        assert narrow or cells.find(value) == cell


@given(domains, st.integers(0, 2**32))
def test_every_value_has_a_cell(domain, seed):
    value = domain.sample(np.random.default_rng(seed))
    assert 0 <= cells_of(domain).find(value) < len(cells_of(domain))


def test_small_domains_have_a_cell_for_each_value_and_large_ones_bins():
    assert len(cells_of(IntegerRange(8, 64, 8))) == 8
    assert len(cells_of(FloatRange(0.0, 0.5, 0.1))) == 6
    assert len(cells_of(IntegerRange(1, 1000, log=True))) == BINS
    assert len(cells_of(FloatRange(1e-5, 1e-1, log=True))) == BINS
    cells = cells_of(FloatRange(1e-5, 1e-1, log=True))
    assert [cells.find(value) for value in (1e-5, 2e-5, 1.1e-3, 1e-1)] == [0, 0, 4, BINS - 1]
    assert len(cells_of(FloatRange(0.5, 0.5))) == 1


@pytest.mark.parametrize(
    ("domain", "value"),
    [(Categorical((1, "a")), True), (IntegerRange(1, 3), 4), (FloatRange(0.0, 1.0), "a")],
)
def test_strange_values_have_no_cell(domain, value):
    assert cells_of(domain).find(value) == -1
