"""`PerStudy` keeps one memory of each study, as long as there is the study."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from optuna_nas._study_memories import PerStudy

pytestmark = pytest.mark.usefixtures("quiet_optuna")

START = datetime(2024, 1, 1)


def trial_of(started: datetime | None) -> FrozenTrial:
    trial = create_trial(state=TrialState.RUNNING)
    trial.datetime_start = started
    return trial


def test_each_study_has_its_own_memory() -> None:
    memories: PerStudy[list[int]] = PerStudy()
    storage = InMemoryStorage()
    one, two = (optuna.create_study(storage=storage) for _ in range(2))
    elsewhere = optuna.create_study()  # its number is that of `one`
    memories.of(one, list).append(1)
    assert one in memories
    assert two not in memories
    assert elsewhere not in memories
    memories.of(two, list).append(2)
    memories.of(elsewhere, list).append(3)
    assert [memories.of(study, list) for study in (one, two, elsewhere)] == [[1], [2], [3]]
    again = optuna.load_study(study_name=one.study_name, storage=storage)
    assert memories.of(again, list) is memories.of(one, list)
    assert sorted(memories.values()) == [[1], [2], [3]]


def test_trials_of_another_study_are_noticed() -> None:
    memories: PerStudy[list[int]] = PerStudy()
    study = optuna.create_study()
    # Enqueued, with no start that could be remembered, then begun.
    memories.of(study, list, [trial_of(None)]).append(1)
    begun = [trial_of(START), trial_of(START + timedelta(seconds=1))]
    assert memories.of(study, list, begun) == [1]
    assert memories.of(study, list, begun[:1]) == [1]
    assert memories.of(study, list) == [1]
    other = [trial_of(START - timedelta(days=1))]
    assert memories.of(study, list, other) == []
    memories.of(study, list).append(2)
    assert memories.of(study, list, other) == [2]
    assert memories.of(study, list, begun) == []


def test_a_memory_goes_with_its_storage() -> None:
    memories: PerStudy[list[int]] = PerStudy()
    memories.of(optuna.create_study(), list)
    gc.collect()
    assert memories.values() == []


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_copies_remember_nothing(copied) -> None:
    memories: PerStudy[threading.Lock] = PerStudy()
    study = optuna.create_study()
    memories.of(study, threading.Lock)  # could not be pickled itself
    made = copied(memories)
    assert study not in made
    assert made.lock is not memories.lock
    assert study in memories
