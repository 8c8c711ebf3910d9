from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search import ParameterEncoding, SpaceEncoding
from optuna_nas.search.mutation import mutate
from optuna_nas.space import Choice, Repeat, SearchSpace, conv, global_average_pooling
from optuna_nas.space.decisions import Categorical

GENES = {f"gene{i}": Categorical((0, 1, 2)) for i in range(6)}
PARENT = dict.fromkeys(GENES, 0)


def changes(rate: float | None, draws: int = 3000) -> np.ndarray:
    """How many genes each of many children has changed."""
    rng, encoding = np.random.default_rng(0), ParameterEncoding()
    children = (mutate(PARENT, GENES, GENES.keys(), encoding, rng, rate) for _ in range(draws))
    return np.array([sum(child[name] != 0 for name in GENES) for child in children])


def test_without_a_rate_exactly_one_decision_changes():
    assert set(changes(None, 200)) == {1}


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.8])
def test_a_rate_changes_each_decision_on_its_own_given_that_one_changes(rate):
    counts = changes(rate)
    assert counts.min() == 1
    some = 1 - (1 - rate) ** 6
    # Binomial(6, rate) given at least one.
    assert counts.mean() == pytest.approx(6 * rate / some, abs=0.1)
    assert np.mean(counts == 1) == pytest.approx(6 * rate * (1 - rate) ** 5 / some, abs=0.03)


def test_a_rate_of_nothing_still_changes_one():
    assert set(changes(0.0, 50)) == {1}


def test_only_what_is_free_changes():
    rng, encoding = np.random.default_rng(0), ParameterEncoding()
    child = mutate(PARENT, GENES, {"gene1", "gene4"}, encoding, rng, 1.0)
    assert {name for name in GENES if child[name] != 0} == {"gene1", "gene4"}
    assert mutate(PARENT, GENES, set(), encoding, rng, 1.0) is None


CHAIN = SearchSpace(
    "chain",
    input_shape=(8, 8, 1),
    classes=3,
    body=[Repeat("block", 1, 4, conv(Choice("f", [2, 4]), 3)), global_average_pooling()],
)


@given(seed=st.integers(0, 2**32), rate=st.sampled_from([0.0, 0.5, 1.0]))
def test_no_structural_edits_lead_back_to_the_parent(seed, rate):
    rng = np.random.default_rng(seed)
    parent = CHAIN.sample(rng).params
    free = CHAIN.distributions().keys()
    child = mutate(parent, CHAIN.distributions(), free, SpaceEncoding(CHAIN), rng, rate)
    assert CHAIN.genotype(child) != CHAIN.genotype(parent)
    assert CHAIN.feasible(CHAIN.genotype(child))
