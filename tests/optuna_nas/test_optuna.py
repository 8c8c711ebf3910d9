"""What is kept in studies and trials, on every kind of storage."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from optuna_nas._optuna import (
    FAILURE,
    OWNER,
    RECORD,
    SPACE,
    TrialRecord,
    bind_space,
    fail_stale_trials,
    own,
    predicted_values,
    record_of,
    save_record,
)
from optuna_nas._processes import Owner
from optuna_nas.errors import SpaceMismatchError
from optuna_nas.spaces import nas_bench_201

pytestmark = pytest.mark.usefixtures("quiet_optuna")


@pytest.fixture(params=["memory", "sqlite", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> BaseStorage:
    if request.param == "memory":
        return InMemoryStorage()
    if request.param == "sqlite":
        return RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    return JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))


FULL = TrialRecord(
    canonical_id="c0ffee",
    params=1000,
    macs=20000,
    peak_activation_bytes=4096,
    accuracy=0.97,
    latency_ms=0.25,
    latency={"median_ms": 0.25},
    curve={"val_accuracy": [0.5, 0.97]},
    seconds={"train": 1.5},
    predicted_value=0.98,
)


def test_record_survives_the_storage(storage):
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    save_record(trial, FULL)
    assert record_of(trial) == FULL
    study.tell(trial, 1.0)
    assert record_of(study.trials[0]) == FULL


@given(st.sets(st.sampled_from(sorted(FULL.to_dict()))))
def test_records_keep_what_is_known_and_nothing_else(names):
    empty = TrialRecord()
    record = replace(empty, **{name: getattr(FULL, name) for name in names})
    assert set(record.to_dict()) == names
    assert TrialRecord.from_dict(record.to_dict()) == record
    assert TrialRecord.from_dict({**record.to_dict(), "of a later version": 1}) == record


def test_predictions_have_one_number_an_objective():
    def trial(record):
        return optuna.create_trial(state=TrialState.PRUNED, user_attrs={RECORD: record})

    assert predicted_values(trial({"predicted_value": 0.5})) == (0.5,)
    assert predicted_values(trial({"predicted_value": [0.5, 2.0]})) == (0.5, 2.0)
    assert predicted_values(trial({})) is None
    assert predicted_values(optuna.create_trial(state=TrialState.PRUNED)) is None
    assert record_of(optuna.create_trial(value=1.0)) == TrialRecord()


def test_a_study_is_bound_to_one_space(storage):
    study = optuna.create_study(storage=storage, study_name="mine")
    space, other = nas_bench_201(), nas_bench_201(classes=7)
    bind_space(study, space)
    bind_space(study, nas_bench_201())
    assert study.user_attrs[SPACE]["name"] == "nas_bench_201"
    with pytest.raises(SpaceMismatchError, match="study 'mine' was made with") as caught:
        bind_space(study, other)
    assert caught.value.value is other


# --- trials whose process is gone ----------------------------------------------------------------


def gone() -> Owner:
    """A process that surely lived and surely ended."""
    code = "from optuna_nas._processes import Owner; print(repr(Owner.current()))"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return eval(process.stdout, {"Owner": Owner})


def test_trials_of_ended_processes_are_failed(storage):
    study = optuna.create_study(storage=storage)
    mine, lost, plain = study.ask(), study.ask(), study.ask()
    own(mine)
    lost.set_user_attr(OWNER, gone().to_dict())
    assert fail_stale_trials(study) == [lost.number]
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING]
    assert "ended without a result" in study.trials[lost.number].user_attrs[FAILURE]
    assert fail_stale_trials(study) == []
    study.tell(plain, 1.0)


def test_trials_without_an_owner_are_failed_only_on_request():
    study = optuna.create_study()
    study.ask()
    working = study.ask()
    working.suggest_int("x", 0, 1)
    assert fail_stale_trials(study, unowned_after=3600.0) == []
    assert fail_stale_trials(study, unowned_after=0.0) == [0]


def test_owner_on_another_machine_is_left_alone():
    assert not Owner("elsewhere", 1, None).is_gone()


def test_owner_is_the_process_and_not_its_number():
    current = Owner.current()
    assert current.pid == os.getpid()
    assert not current.is_gone()
    assert Owner.from_dict(current.to_dict()) == current
    if current.started is not None:
        assert replace(current, started=current.started - 1000.0).is_gone()
    assert not replace(current, started=None).is_gone()


def test_ended_process_is_gone():
    assert gone().is_gone()
