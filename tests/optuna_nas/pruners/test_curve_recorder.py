"""`CurveRecorder`: reports and pruning with one and with several objectives."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import TrialState

from optuna_nas._optuna import curve_of, predicted_values
from optuna_nas.pruners import CurveRecorder, LearningCurvePruner
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.testing.learning_curves import QUALITIES, curve
from optuna_nas.testing.samplers import CountingStorage
from tests.optuna_nas.pruners.objectives import recorded_quality

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.usefixtures("quiet_optuna"),
]


def study_of_two(storage: BaseStorage | None = None) -> Study:
    study = optuna.create_study(
        directions=["maximize", "minimize"], pruner=LearningCurvePruner(20), storage=storage
    )
    study.set_metric_names(["accuracy", "latency"])
    return study


def train(study: Study, quality: float, latency: float) -> int | None:
    """Run one trial; the step at which it was pruned, or None."""
    trial = study.ask()
    with CurveRecorder(trial, known={"latency": latency}) as recorder:
        for step, value in enumerate(curve(quality), start=1):
            recorder.report(value, step)
            if recorder.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                return step
    study.tell(trial, [value, latency])
    return None


def test_a_trial_that_can_only_be_dominated_is_pruned() -> None:
    study = study_of_two()
    for quality in QUALITIES[:8]:
        assert train(study, quality, 1.0) is None or quality < 0.6
    stopped = train(study, 0.1, 2.0)
    assert stopped is not None
    trial = study.trials[-1]
    predicted = predicted_values(trial)
    assert predicted is not None
    assert predicted[0] == pytest.approx(0.1, abs=0.06)
    assert predicted[1] == 2.0
    # As poor, but faster than any: it will be on the front.
    assert train(study, 0.1, 0.5) is None
    assert study.trials[-1] in study.best_trials


def test_one_write_a_trial() -> None:
    storage = CountingStorage()
    study = study_of_two(storage)
    for quality in QUALITIES:
        before = storage.writes["trial"]
        train(study, quality, 1.0)
        assert storage.writes["trial"] == before + 1


@pytest.mark.parametrize("kind", ["memory", "sqlite", "journal"])
def test_other_processes_learn_from_the_curves(kind: str, tmp_path: Path) -> None:
    storage: BaseStorage = InMemoryStorage()
    if kind == "sqlite":
        storage = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    elif kind == "journal":
        storage = JournalStorage(JournalFileBackend(str(tmp_path / "log")))
    study = study_of_two(storage)
    for quality in QUALITIES[:6]:
        train(study, quality, 1.0)
    study.pruner = LearningCurvePruner(20)
    assert train(study, 0.1, 1.5) is not None


def test_samplers_count_what_was_predicted() -> None:
    study = study_of_two()
    study.sampler = RegularizedEvolutionSampler(seed=0, population_size=4, n_startup_trials=4)
    study.optimize(recorded_quality, n_trials=40)
    pruned = [t for t in study.trials if t.state == TrialState.PRUNED]
    assert len(pruned) > 10
    assert all(predicted_values(t) is not None for t in pruned)


def test_several_reported_objectives() -> None:
    study = optuna.create_study(
        directions=["maximize", "minimize"], pruner=LearningCurvePruner(20, min_probability=0.1)
    )
    stopped = []
    for quality in (*QUALITIES, 0.05):
        trial = study.ask()
        with CurveRecorder(trial) as recorder:
            for step, value in enumerate(curve(quality), start=1):
                recorder.report([value, 1.0 - value], step)
                if recorder.should_prune():
                    break
        stopped.append(step)
        if step < 20:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [value, 1.0 - value])
    assert stopped[-1] < 20
    record = curve_of(study.trials[-1])
    assert record is not None
    assert len(record.values) == 2
    assert len(record.steps) == stopped[-1]


def test_reports_by_name() -> None:
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    study.set_metric_names(["accuracy", "loss", "latency"])
    trial = study.ask()
    with CurveRecorder(trial, known={"latency": 3.0}) as recorder:
        recorder.report({"loss": 0.7, "accuracy": 0.5}, 1)
        assert not recorder.should_prune()  # the study's pruner is Optuna's default
        with pytest.raises(ValueError, match="expected accuracy, loss, got loss"):
            recorder.report({"loss": 0.7}, 2)
        with pytest.raises(ValueError, match=r"expected 2 \(accuracy, loss\), got 1"):
            recorder.report(0.5, 2)
        with pytest.raises(ValueError, match="step must be above the last one, 1, got 1"):
            recorder.report([0.5, 0.7], 1)
    study.tell(trial, [0.5, 0.7, 3.0])
    record = curve_of(study.trials[0])
    assert record is not None
    assert record.values == [[0.5], [0.7], 3.0]


def test_one_objective_goes_through_optuna() -> None:
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=0.5))
    trial = study.ask()
    with CurveRecorder(trial) as recorder:
        recorder.report(0.4, 1)
        assert not recorder.should_prune()
        recorder.report(0.6, 2)
        assert recorder.should_prune()
    assert study.trials[0].intermediate_values == {1: 0.4, 2: 0.6}
    assert study.trials[0].user_attrs == {}


def test_nothing_happens_with_a_frozen_trial() -> None:
    recorder = CurveRecorder(optuna.create_trial(value=1.0), known={"latency": 1.0})
    recorder.report(0.5, 1)
    assert not recorder.should_prune()
    recorder.save()


def test_unknown_and_superfluous_objectives() -> None:
    trial = study_of_two().ask()
    with pytest.raises(ValueError, match=r"'speed' is no objective.*accuracy, latency"):
        CurveRecorder(trial, known={"speed": 1.0})
    with pytest.raises(ValueError, match="known: at least one objective"):
        CurveRecorder(trial, known={0: 1.0, 1: 1.0})


def test_long_curves_are_thinned() -> None:
    study = study_of_two()
    trial = study.ask()
    with CurveRecorder(trial, known={"latency": 1.0}) as recorder:
        for step in range(1, 1002):
            recorder.report(step / 1001, step)
    study.tell(trial, [1.0, 1.0])
    record = curve_of(study.trials[0])
    assert record is not None
    assert len(record.steps) == len(record.values[0]) <= 200  # type: ignore[arg-type]
    assert record.steps[-1] == 1001
    assert record.values[0][-1] == 1.0  # type: ignore[index]


def test_a_failed_trial_writes_nothing() -> None:
    study = study_of_two()
    trial = study.ask()

    def fail() -> None:
        with CurveRecorder(trial, known={1: 1.0}) as recorder:
            recorder.report(0.5, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert study.trials[0].user_attrs == {}


def test_values_that_are_no_numbers() -> None:
    study = study_of_two()
    for _ in range(6):
        train(study, 0.5, 1.0)
    trial = study.ask()
    with CurveRecorder(trial, known={1: 1.0}) as recorder:
        recorder.report(math.nan, 1)
        assert not recorder.should_prune()
        recorder.report(math.inf, 2)
        assert recorder.should_prune()
    study.tell(trial, state=TrialState.PRUNED)
    assert predicted_values(study.trials[-1]) is None
