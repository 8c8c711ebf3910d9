"""What the objective does with what its workers report; the workers are stood in for.

Real workers: `test_objective_real.py`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from keras_nas import NASObjective
from keras_nas.binding import StudyMismatchError
from keras_nas.candidates import TrainingPlan
from keras_nas.data import Dataset, load
from keras_nas.isolation import JobDiedError, JobInterruptedError
from keras_nas.jobs import Training
from optuna_nas._optuna import FAILURE, OWNER, predicted_values, record_of, violation_of
from optuna_nas.errors import NASError, SpaceMismatchError
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.profiling import LatencyProfile
from optuna_nas.pruners import LearningCurvePruner
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.space import Choice, Float, Genotype, SearchSpace
from optuna_nas.spaces import tabular_mlp


def profile(milliseconds: float, reference: float = 1.0) -> LatencyProfile:
    return LatencyProfile(
        median_ms=milliseconds,
        p90_ms=milliseconds,
        min_ms=milliseconds,
        ci_ms=(milliseconds, milliseconds),
        ratio_to_anchor=milliseconds / reference,
        ratio_ci=None,
        anchor_ms=reference,
        anchor_reference_ms=reference,
        runs=5,
        rounds=5,
        seconds=0.1,
        stopped_by="narrow",
        size_bytes=1000,
    )


class Workers:
    """Stands in for the workers: latency is parameters / 1000 ms, accuracy what `curve` says."""

    def __init__(self) -> None:
        self.trained: list[tuple[ArchitectureGraph, TrainingPlan]] = []
        self.timed = 0
        self.anchors = 0
        self.curve: Callable[[ArchitectureGraph], list[float]] = lambda _graph: [0.5, 0.75]
        self.error: Exception | None = None
        self.diverged = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lend(self) -> Iterator[Workers]:
        yield self

    def anchor(self) -> float:
        self.anchors += 1
        return 1.0

    def latency(self, graph: ArchitectureGraph, _reference: float) -> LatencyProfile:
        self.timed += 1
        return profile(graph.params / 1000)

    def train(self, graph: ArchitectureGraph, plan: TrainingPlan, on_epoch: Any) -> Training:
        with self._lock:
            self.trained.append((graph, plan))
        if self.error is not None:
            raise self.error
        accuracies = []
        for epoch, accuracy in enumerate(self.curve(graph), start=1):
            accuracies.append(accuracy)
            if on_epoch(epoch, {"val_accuracy": accuracy, "val_loss": 1 - accuracy}):
                break
        curve = {"val_accuracy": accuracies, "val_loss": [1 - a for a in accuracies]}
        return Training(curve, len(accuracies) - 1, self.diverged, 0.2)

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("iris")


@pytest.fixture
def space(data: Dataset) -> SearchSpace:
    return tabular_mlp(input_shape=data.input_shape, classes=data.classes)


@pytest.fixture
def make(data: Dataset, space: SearchSpace) -> Callable[..., NASObjective]:
    def make(space: SearchSpace = space, **options: Any) -> NASObjective:
        objective = NASObjective(space, data, **options)
        objective.evaluator = Workers()  # type: ignore[assignment]
        return objective

    return make


def workers_of(objective: NASObjective) -> Workers:
    assert isinstance(objective.evaluator, Workers)
    return objective.evaluator


def study_for(objective: NASObjective, **options: Any) -> optuna.Study:
    options.setdefault("sampler", optuna.samplers.RandomSampler(seed=0))
    options.setdefault("pruner", optuna.pruners.NopPruner())
    return optuna.create_study(directions=objective.directions, **options)


def test_values_and_record(make: Callable[..., NASObjective]) -> None:
    objective = make(objectives=("params", "accuracy", "latency_ms", "error", "loss"), epochs=2)
    study = study_for(objective)
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    record = record_of(trial)
    assert trial.state == TrialState.COMPLETE
    assert trial.values == [record.params, 0.75, record.params / 1000, 0.25, 0.25]
    assert record.accuracy == 0.75
    assert record.latency_ms == pytest.approx(record.params / 1000)
    assert record.curve["val_accuracy"] == [0.5, 0.75]
    assert record.canonical_id == objective.space.graph(Genotype(trial.params)).canonical_id
    assert record.macs
    assert record.peak_activation_bytes
    assert set(record.seconds) == {"latency", "train", "total"}
    assert LatencyProfile.from_dict(record.latency or {}).size_bytes == 1000
    assert trial.user_attrs[OWNER]["pid"]
    assert study.user_attrs["optuna_nas:space"]["name"] == "tabular_mlp"
    assert study.user_attrs["optuna_nas:objectives"][0] == "params"
    assert "optuna" in study.user_attrs["optuna_nas:environment"]["versions"]


def test_what_needs_no_training_trains_nothing(make: Callable[..., NASObjective]) -> None:
    objective = make(objectives=("params", "macs", "peak_activation_bytes"))
    study_for(objective).optimize(objective, n_trials=3)
    assert not workers_of(objective).trained
    assert not workers_of(objective).timed


def test_the_anchor_is_measured_once_a_study(make: Callable[..., NASObjective]) -> None:
    objective = make()
    study = study_for(objective)
    study.optimize(objective, n_trials=3)
    again = make()
    study.optimize(again, n_trials=1)
    assert workers_of(objective).anchors == 1
    assert workers_of(again).anchors == 0


SAMPLERS = {
    "random": lambda _space: optuna.samplers.RandomSampler(seed=0),
    "tpe": lambda _space: optuna.samplers.TPESampler(seed=0, n_startup_trials=5),
    "nsga2": lambda _space: optuna.samplers.NSGAIISampler(seed=0, population_size=5),
    "evolution": lambda space: RegularizedEvolutionSampler(
        seed=0, population_size=5, tournament_size=2, space=space
    ),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("objectives", [("accuracy",), ("accuracy", "latency_ms"), ("loss",)])
def test_over_a_limit_is_infeasible_and_costs_no_epoch(
    make: Callable[..., NASObjective], sampler: str, objectives: tuple[str, ...]
) -> None:
    objective = make(objectives=objectives, max_latency_ms=3.0, max_params=100_000, reuse=False)
    workers_of(objective).curve = lambda graph: [1 - 1 / graph.params]  # larger is better
    study = study_for(objective, sampler=SAMPLERS[sampler](objective.space))
    study.optimize(objective, n_trials=30)
    over = [t for t in study.trials if (record_of(t).latency_ms or 0) > 3.0]
    within = [t for t in study.trials if (record_of(t).latency_ms or 9) <= 3.0]
    assert over
    assert within
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert len(workers_of(objective).trained) == len(within)
    for trial in study.trials:
        assert set(trial.constraints) == {"latency_ms", "params"}
    assert all(violation_of(t) > 0 and not record_of(t).curve for t in over)
    assert all(violation_of(t) == 0 for t in within)
    assert not {t.number for t in study.best_trials} & {t.number for t in over}
    guess = objective.metrics[0].untrained(3)
    assert {t.values[0] for t in over} == {guess}


def test_limits_must_be_positive(make: Callable[..., NASObjective]) -> None:
    with pytest.raises(NASError, match="max_latency_ms must be above 0"):
        make(max_latency_ms=0)


def test_known_architectures_are_not_trained_again(make: Callable[..., NASObjective]) -> None:
    objective = make(max_params=10**9)
    study = study_for(objective)
    study.optimize(objective, n_trials=1)
    for _ in range(2):
        study.enqueue_trial(study.trials[0].params)
    study.optimize(objective, n_trials=2)
    first, *others = study.trials
    assert len(workers_of(objective).trained) == 1
    for trial in others:
        assert trial.values == first.values
        assert trial.constraints == first.constraints
        assert record_of(trial).canonical_id == record_of(first).canonical_id
        assert not record_of(trial).curve
        assert trial.user_attrs["optuna_nas:record"]["reused_from"] == 0
    retrain = make(reuse=False, max_params=10**9)
    study.enqueue_trial(first.params)
    study.optimize(retrain, n_trials=1)
    assert len(workers_of(retrain).trained) == 1


def test_equal_networks_with_other_training_differ(data: Dataset) -> None:
    space = tabular_mlp(
        input_shape=data.input_shape,
        classes=data.classes,
        training=[
            Float("learning_rate", 1e-3, 1e-1, log=True),
            Choice("optimizer", ["adam", "sgd"]),
        ],
    )
    objective = NASObjective(space, data, objectives=("accuracy",), learning_rate=0.5)
    objective.evaluator = workers = Workers()  # type: ignore[assignment]
    study = study_for(objective)
    study.optimize(objective, n_trials=1)
    name = next(name for name in study.trials[0].params if name.endswith("learning_rate"))
    study.enqueue_trial({**study.trials[0].params, name: 0.02})
    study.optimize(objective, n_trials=1)
    assert len(workers.trained) == 2
    plan = workers.trained[1][1]
    assert plan.learning_rate == pytest.approx(0.02)
    assert plan.to_job()["optimizer"] in ("adam", "sgd")
    assert len({t.user_attrs["optuna_nas:record"]["canonical_id"] for t in study.trials}) == 1


@pytest.mark.parametrize("objectives", [("accuracy",), ("accuracy", "latency_ms")])
def test_a_failing_candidate_costs_its_trial_only(
    make: Callable[..., NASObjective], objectives: tuple[str, ...]
) -> None:
    objective = make(objectives=objectives)
    study = study_for(objective)
    workers_of(objective).error = JobDiedError("the worker process was killed by SIGSEGV", "stack")
    study.optimize(objective, n_trials=2)  # without catch=
    workers_of(objective).error = None
    study.optimize(objective, n_trials=1)
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]
    failed = study.trials[0]
    assert failed.user_attrs[FAILURE] == "the worker process was killed by SIGSEGV"
    assert record_of(failed).params  # what was known is kept


def test_ask_and_tell(make: Callable[..., NASObjective]) -> None:
    objective = make()
    study = study_for(objective)
    trial = study.ask()
    study.tell(trial, objective(trial))
    assert study.trials[0].state == TrialState.COMPLETE


def test_divergence_is_a_failure(make: Callable[..., NASObjective]) -> None:
    objective = make()
    workers_of(objective).diverged = True
    study = study_for(objective)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].state == TrialState.FAIL
    assert "diverged" in study.trials[0].user_attrs[FAILURE]


def test_a_graph_that_cannot_be_built_is_a_failure(
    make: Callable[..., NASObjective], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: SearchSpace, _genotype: Genotype) -> ArchitectureGraph:
        raise ZeroDivisionError("a block of the user's own")

    objective = make()
    study = study_for(objective)
    monkeypatch.setattr(SearchSpace, "graph", broken)
    study.optimize(objective, n_trials=2)
    assert {t.state for t in study.trials} == {TrialState.FAIL}
    assert study.trials[0].user_attrs[FAILURE] == "ZeroDivisionError: a block of the user's own"


def test_interrupted(make: Callable[..., NASObjective]) -> None:
    objective = make()
    workers_of(objective).error = JobInterruptedError("interrupted")
    study = study_for(objective)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].user_attrs[FAILURE] == "interrupted"


def test_interrupted_while_the_anchor_is_measured(
    make: Callable[..., NASObjective], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_self: Workers) -> float:
        raise JobInterruptedError("interrupted")

    monkeypatch.setattr(Workers, "anchor", interrupted)
    objective = make()
    study = study_for(objective)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].user_attrs[FAILURE] == "interrupted"


def test_pruner_is_honoured_with_one_objective(make: Callable[..., NASObjective]) -> None:
    objective = make(objectives=("error",), reuse=False)
    study = study_for(
        objective, pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=1)
    )
    study.optimize(objective, n_trials=3)
    workers_of(objective).curve = lambda _graph: [0.1, 0.1, 0.1, 0.1]
    study.optimize(objective, n_trials=1)
    good, weak = study.trials[0], study.trials[-1]
    assert good.intermediate_values == {1: 0.5, 2: 0.25}
    assert weak.state == TrialState.PRUNED
    assert weak.value == pytest.approx(0.9)
    assert len(weak.intermediate_values) < 4
    assert record_of(weak).curve["val_accuracy"]


def test_learning_curve_pruner_is_honoured_with_several_objectives(
    make: Callable[..., NASObjective],
) -> None:
    objective = make(objectives=("accuracy", "loss"), reuse=False, epochs=10)
    study = study_for(
        objective, pruner=LearningCurvePruner(min_probability=0.1, n_startup_trials=5)
    )
    rising = [0.9 - 0.8 * 0.6**epoch for epoch in range(1, 11)]
    for quality in (1.0, 0.8, 0.9, 0.7, 0.95):
        workers_of(objective).curve = lambda _graph, by=quality: [by * v for v in rising]
        study.optimize(objective, n_trials=1)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    workers_of(objective).curve = lambda _graph: [0.1 * value for value in rising]
    study.optimize(objective, n_trials=1)
    weak = study.trials[-1]
    assert weak.state == TrialState.PRUNED
    assert record_of(weak).curve["val_accuracy"]
    predicted = predicted_values(weak)
    assert predicted is not None
    assert predicted[0] < 0.5 < predicted[1]


def test_several_objectives_keep_the_curve_instead(make: Callable[..., NASObjective]) -> None:
    objective = make()
    study = study_for(objective, pruner=optuna.pruners.ThresholdPruner(lower=2.0))
    study.optimize(objective, n_trials=1)
    assert study.trials[0].state == TrialState.COMPLETE
    assert not study.trials[0].intermediate_values
    assert record_of(study.trials[0]).curve


def test_directions_must_fit(make: Callable[..., NASObjective]) -> None:
    objective = make()
    study = optuna.create_study()
    with pytest.raises(StudyMismatchError, match=r"directions minimize, but .*need maximize"):
        study.optimize(objective, n_trials=1)


def test_space_must_fit_the_data(data: Dataset) -> None:
    with pytest.raises(NASError, match=r"inputs of shape \(30,\) and 2 classes, but iris has"):
        NASObjective(tabular_mlp(), data)


def test_study_is_bound_to_space_data_and_training(
    make: Callable[..., NASObjective], data: Dataset, space: SearchSpace
) -> None:
    objective = make(epochs=3)
    study = study_for(objective)
    study.optimize(objective, n_trials=1)
    other = tabular_mlp(input_shape=data.input_shape, classes=data.classes, widths=(8, 16))
    with pytest.raises(SpaceMismatchError):
        study.optimize(make(other, epochs=3), n_trials=1)
    with pytest.raises(StudyMismatchError, match="made with epochs = 3, not 4: use the same"):
        study.optimize(make(epochs=4), n_trials=1)
    elsewhere = NASObjective(space, load("iris", seed=1), epochs=3)
    with pytest.raises(StudyMismatchError, match="made with max_params = None, not 9: use the sa"):
        study.optimize(make(epochs=3, max_params=9), n_trials=1)
    with pytest.raises(StudyMismatchError, match="made with other data, or another split"):
        study.optimize(elsewhere, n_trials=1)
    with pytest.raises(StudyMismatchError, match=r"made for the objectives .* not accuracy, loss"):
        study.optimize(make(objectives=("accuracy", "loss"), epochs=3), n_trials=1)
    study.optimize(make(epochs=3), n_trials=1)
    assert study.trials[-1].state == TrialState.COMPLETE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ("speed",)}, "unknown objective 'speed'"),
        ({"isolation": "thread"}, "isolation must be 'process' or 'none'"),
        ({"epochs": 0}, "epochs must be an integer of 1 or more"),
        ({"batch_size": 0}, "batch_size must be an integer of 1 or more"),
        ({"patience": 0}, "patience must be"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"data_fraction": 2.0}, "data_fraction must be above 0"),
    ],
)
def test_bad_options(
    make: Callable[..., NASObjective], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(NASError, match=message):
        make(**options)


def test_threads(make: Callable[..., NASObjective]) -> None:
    objective = make()
    study = study_for(objective)
    study.optimize(objective, n_trials=12, n_jobs=4)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert workers_of(objective).anchors == 1
