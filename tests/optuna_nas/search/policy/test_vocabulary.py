from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search.policy.vocabulary import Vocabulary
from optuna_nas.space.decisions import IntegerRange
from tests.optuna_nas.search.policy.example import DOMAINS, individual, layers


def shallow(number, **arguments):
    return individual(number, {"depth": 1, "layer0": "conv", "rate": 0.01}, **arguments)


def deep(number):
    params = {"depth": 3, "layer0": "pool", "layer1": "conv", "layer2": "skip", "rate": 0.01}
    return individual(number, params)


def test_new_decisions_come_behind_the_one_they_followed():
    vocabulary = Vocabulary().extended([shallow(0), deep(1)])
    names = [decision.name for decision in vocabulary.decisions]
    assert names == ["depth", "layer0", "layer1", "layer2", "rate"]
    assert list(vocabulary.names) == ["depth", "layer0", "rate", "layer1", "layer2"]


def test_nothing_new_makes_no_new_vocabulary():
    vocabulary = Vocabulary().extended([shallow(0), deep(1)])
    assert vocabulary.extended([deep(2), shallow(3)]) is vocabulary


@given(st.integers(0, 2**32), st.integers(0, 8))
def test_the_same_history_makes_the_same_vocabulary(seed, cut):
    rng = np.random.default_rng(seed)
    individuals = [layers(number, rng) for number in range(8)]
    once = Vocabulary().extended(individuals)
    twice = Vocabulary().extended(individuals[:cut]).extended(individuals[cut:])
    assert [d.name for d in twice.decisions] == [d.name for d in once.decisions]
    assert twice.slots == once.slots
    assert twice.kinds == once.kinds


def test_equal_values_of_decisions_alike_share_a_kind():
    vocabulary = Vocabulary().extended([deep(0)])
    kinds = {d.name: dict(zip(d.cells.keys, d.kinds, strict=True)) for d in vocabulary.decisions}
    assert kinds["layer0"]["'conv'"] == kinds["layer1"]["'conv'"] == kinds["layer2"]["'conv'"]
    assert kinds["layer1"]["'skip'"] == kinds["layer2"]["'skip'"]
    slots = np.concatenate([decision.slots for decision in vocabulary.decisions])
    assert len(set(slots.tolist())) == len(slots)


def test_a_range_that_grows_keeps_its_values():
    wider = {**DOMAINS, "depth": IntegerRange(1, 5)}
    vocabulary = Vocabulary().extended([shallow(0)])
    vocabulary = vocabulary.extended([shallow(1, domains=wider)])
    old = vocabulary.find("depth", DOMAINS["depth"])
    new = vocabulary.find("depth", wider["depth"])
    np.testing.assert_array_equal(new.slots[:3], old.slots)
    assert len(new.slots) == 5
    batch = vocabulary.batch([shallow(0), shallow(1, domains=wider)])
    assert (batch.choices[:, :2] >= 0).tolist() == [[True, False], [False, True]]
    assert vocabulary.among(wider, {})[0] is new
    assert vocabulary.among({}, {"depth": 5}) == (new,)
    assert vocabulary.among({}, {"depth": 9}) == ()
    assert vocabulary.find("depth", IntegerRange(1, 9)) is None
