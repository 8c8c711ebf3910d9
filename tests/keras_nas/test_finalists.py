"""Which candidates are trained in full, and which is delivered; the training is stood in for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from keras_nas import NASObjective
from keras_nas.data import load
from keras_nas.delivery import Delivery
from keras_nas.finalists import Finalist, best_of, choose_finalists, finish, read_finalists
from keras_nas.isolation import JobDiedError, JobInterruptedError
from optuna_nas._optuna import RECORD
from optuna_nas.spaces import tabular_mlp


class Workers:
    """Stands in for the workers: writes files, and fails as it is told."""

    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.errors: dict[int, Exception] = {}

    @contextlib.contextmanager
    def lend(self) -> Iterator[Workers]:
        yield self

    def run(self, _job: Any, *arguments: Any, on_message: Any = None) -> Any:
        if on_message is None:  # the latencies; none here
            raise JobDiedError("no latencies")
        stem = arguments[-1]
        error = self.errors.get(len(self.delivered))
        self.delivered.append(Path(stem).name)
        if error is not None:
            raise error
        on_message(1)
        files = [f"{stem}.keras", f"{stem}.onnx"]
        for file in files:
            Path(file).touch()
        return Delivery(*files, 0.9, 0.1, {"images": 3}, None, 1.0)

    def close(self) -> None: ...


@pytest.fixture
def objective() -> NASObjective:
    data = load("iris")
    objective = NASObjective(tabular_mlp(input_shape=data.input_shape, classes=3), data, epochs=2)
    objective.evaluator = Workers()  # type: ignore[assignment]
    return objective


ROWS = [  # accuracy, latency, seconds of training: 0, 1 and 3 are the front
    (0.90, 1.0, 10.0),
    (0.95, 2.0, 10.0),
    (0.89, 3.0, 10.0),
    (0.97, 4.0, 10.0),
]


@pytest.fixture
def study(objective: NASObjective) -> optuna.Study:
    study = optuna.create_study(
        directions=objective.directions, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    objective.check(study)
    for number, (accuracy, latency, seconds) in enumerate(ROWS):
        trial = study.ask()
        graph = objective.space.graph(objective.space.suggest(trial))
        record = {"accuracy": accuracy, "canonical_id": f"{graph.canonical_id}{number}"}
        trial.set_user_attr(RECORD, {**record, "seconds": {"train": seconds}})
        study.tell(trial, [accuracy, latency])
    return study


def workers_of(objective: NASObjective) -> Workers:
    assert isinstance(objective.evaluator, Workers)
    return objective.evaluator


def test_the_most_accurate_of_the_front_are_chosen(study: optuna.Study) -> None:
    assert [trial.number for trial in choose_finalists(study, 2)] == [3, 1]
    assert [trial.number for trial in choose_finalists(study, 9)] == [3, 1, 0]


def test_time_limits_how_many_but_one_is_always_done(
    study: optuna.Study, objective: NASObjective, tmp_path: Path
) -> None:
    # 10 s for 2 epochs on 90 rows: 4 epochs on 120 rows take 27 s.
    for budget, jobs, expected in ((0.0, 1, [3]), (60.0, 1, [3, 1]), (60.0, 2, [3, 1, 0])):
        done = finish(
            study, objective, tmp_path, count=9, epochs=4, budget_seconds=budget, jobs=jobs
        )
        assert [finalist.trial.number for finalist in done] == expected


def test_earlier_finalists_are_not_done_again(
    study: optuna.Study, objective: NASObjective, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"count": 9, "budget_seconds": 1e9}
    first = finish(study, objective, tmp_path, epochs=4, **options)
    content = json.loads(json.dumps([f.to_dict(tmp_path) for f in first]))
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    earlier = read_finalists(content, study, moved)
    assert [f.trial.number for f in earlier] == [3, 1, 0]
    workers_of(objective).delivered.clear()
    assert len(finish(study, objective, moved, epochs=4, earlier=earlier, **options)) == 3
    assert not workers_of(objective).delivered
    finish(study, objective, moved, epochs=5, earlier=earlier, **options)
    assert len(workers_of(objective).delivered) == 3
    (moved / "trial_3.onnx").unlink()
    assert [f.trial.number for f in read_finalists(content, study, moved)] == [1, 0]


@pytest.mark.parametrize("content", [None, {}, [{}], [{"trial": 99}], [{"delivery": None}]])
def test_unreadable_finalists_are_none(study: optuna.Study, content: Any, tmp_path: Path) -> None:
    assert read_finalists(content, study, tmp_path) == []


def test_a_failure_is_kept_with_its_reason(
    study: optuna.Study, objective: NASObjective, tmp_path: Path
) -> None:
    workers_of(objective).errors = {0: JobDiedError("killed")}
    done = finish(study, objective, tmp_path, count=9, epochs=4, budget_seconds=1e9)
    assert [f.failure for f in done] == ["killed", None, None]
    best = best_of(done)
    assert best is not None
    assert best.trial.number == 1


def test_interrupted_finalists_are_left_out(
    study: optuna.Study, objective: NASObjective, tmp_path: Path
) -> None:
    workers_of(objective).errors = {n: JobInterruptedError("interrupted") for n in (1, 2)}
    done = finish(study, objective, tmp_path, count=9, epochs=4, budget_seconds=1e9)
    assert [f.trial.number for f in done] == [3]


def test_the_best_is_by_validation_never_by_test(study: optuna.Study) -> None:
    def finalist(number: int, test_accuracy: float) -> Finalist:
        delivery = Delivery("a", "b", test_accuracy, 0.1, {}, None, 1.0)
        return Finalist(study.trials[number], 3, delivery)

    finalists = [finalist(0, 1.0), finalist(1, 0.5), replace(finalist(3, 1.0), delivery=None)]
    best = best_of(finalists)
    assert best is not None
    assert best.trial.number == 1
    assert best_of([]) is None


def test_finalists_of_another_study_are_not_taken(
    study: optuna.Study, objective: NASObjective, tmp_path: Path
) -> None:
    done = finish(study, objective, tmp_path, count=9, epochs=4, budget_seconds=1e9)
    content = json.loads(json.dumps([f.to_dict(tmp_path) for f in done]))
    for state in content[1:]:
        state["values"] = [value / 2 for value in state["values"]]
    assert len(read_finalists(content, study, tmp_path)) == 1
