"""Leaderboard, Pareto front and their files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from optuna.trial import TrialState, create_trial
from report_studies import new_study, only_failed, plain_optuna, searched

from optuna_nas._optuna import RECORD
from optuna_nas.report import leaderboard, pareto_front, write_leaderboard


def add(study, values, *, identity=None, violation=None, state=TrialState.COMPLETE, **record):
    if identity is not None:
        record["canonical_id"] = identity
    study.add_trial(
        create_trial(
            state=state,
            values=values,
            user_attrs={RECORD: record} if record else {},
            system_attrs={} if violation is None else {"constraints:limit": violation},
        )
    )


def dominated(mine, others):
    """By the definition: somebody is nowhere worse and somewhere better (less is better)."""
    return any((other <= mine).all() and (other < mine).any() for other in others)


@pytest.mark.parametrize("directions", [["maximize", "minimize"], ["minimize"] * 3])
def test_front_holds_exactly_what_no_feasible_trial_dominates(directions):
    rng = np.random.default_rng(3)
    study = new_study(*directions)
    points = rng.integers(0, 8, size=(60, len(directions))).astype(float)
    limits = rng.choice([-1.0, 0.0, 1.0], size=60)
    for number, (point, limit) in enumerate(zip(points, limits, strict=True)):
        add(study, list(point), identity=str(number), violation=limit)
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
    feasible = [i for i in range(60) if limits[i] <= 0]
    losses = points * signs
    expected = {i for i in feasible if not dominated(losses[i], losses[feasible])}
    assert {row.trial for row in pareto_front(study)} == expected
    assert {row.trial for row in leaderboard(study) if row.on_front} == expected


def test_order_is_front_then_feasible_then_least_broken_then_pruned():
    study = new_study("maximize", "minimize")
    add(study, None, state=TrialState.PRUNED, identity="p1", predicted_value=[0.5, 1.0])
    add(study, None, state=TrialState.PRUNED, identity="p2", predicted_value=[0.8, 1.0])
    add(study, None, state=TrialState.PRUNED, identity="p3")
    add(study, [0.99, 9.0], identity="far over", violation=8.0)
    add(study, [0.60, 2.0], identity="over", violation=1.0)
    add(study, [0.80, 1.5], identity="dominated", violation=0.0)
    add(study, [0.70, 0.5], identity="small", violation=-0.5)
    add(study, [0.90, 1.0], identity="best", violation=0.0)
    rows = leaderboard(study)
    assert [row.canonical_id for row in rows] == [
        *("best", "small", "dominated", "over", "far over", "p2", "p1", "p3")
    ]
    assert [row.rank for row in rows] == list(range(1, 9))
    assert [row.feasible for row in rows] == [True, True, True, False, False, True, True, True]


def test_one_architecture_is_one_row_with_its_best_trial():
    study = new_study("maximize")
    for value in (0.7, 0.9, 0.8):
        add(study, [value], identity="a")
    add(study, [0.85], identity="b")
    first, second = leaderboard(study)
    assert (first.canonical_id, first.trial, first.repeats) == ("a", 1, 3)
    assert (second.canonical_id, second.trial, second.repeats) == ("b", 3, 1)


def test_without_records_equal_parameters_are_one_architecture():
    study = plain_optuna(trials=20)
    study.add_trial(study.trials[0])
    rows = leaderboard(study)
    assert len(rows) == 20
    assert sum(row.repeats for row in rows) == 21
    assert [row.values["value"] for row in rows] == sorted(row.values["value"] for row in rows)


def test_one_objective_gives_its_best_few():
    study = plain_optuna(trials=20)
    assert pareto_front(study) == leaderboard(study, top=5)
    assert len(pareto_front(study, few=3)) == 3


def test_failed_and_running_trials_have_no_row():
    study = only_failed()
    study.ask()
    assert leaderboard(study) == []
    assert pareto_front(study) == []


def test_a_constraint_of_the_older_form_counts():
    study = new_study("maximize")
    study.add_trial(create_trial(value=1.0, system_attrs={"constraints": [0.5, -1.0]}))
    study.add_trial(create_trial(value=0.5, params={}, user_attrs={RECORD: {"canonical_id": "b"}}))
    assert [(row.trial, row.feasible) for row in leaderboard(study)] == [(1, True), (0, False)]


def test_rows_carry_what_the_record_knows():
    row = leaderboard(searched(["accuracy", "latency_ms"], trials=3))[0]
    assert row.values == {"accuracy": row.accuracy, "latency_ms": row.latency_ms}
    assert row.params > 0
    assert row.macs > 0
    assert 4 <= row.epochs <= 12
    assert row.seconds == pytest.approx(0.35 * row.epochs + 1.4)
    assert row.genotype["activation"] in ("relu", "silu")


def test_names_come_from_the_study_or_are_made_up():
    study = new_study("maximize", "minimize")
    add(study, [1.0, 2.0])
    assert leaderboard(study)[0].values == {"value 0": 1.0, "value 1": 2.0}
    with pytest.warns(match="experimental"):
        study.set_metric_names(["score", "price"])
    assert leaderboard(study)[0].values == {"score": 1.0, "price": 2.0}


def test_csv_holds_every_row_and_reads_back(tmp_path):
    study = searched(["accuracy", "latency_ms"], trials=30, max_latency_ms=0.2)
    path = write_leaderboard(study, tmp_path / "deep" / "board.csv")
    rows = leaderboard(study)
    with path.open(newline="", encoding="utf-8") as stream:
        read = list(csv.DictReader(stream))
    assert len(read) == len(rows)
    for row, cells in zip(rows, read, strict=True):
        assert int(cells["trial"]) == row.trial
        assert cells["canonical_id"] == row.canonical_id
        assert json.loads(cells["genotype"]) == dict(row.genotype)
        assert cells["feasible"] == str(row.feasible)
        for name in ("accuracy", "latency_ms"):
            value = row.values.get(name)
            assert cells[name] == ("" if value is None else repr(value))
    assert list(read[0]).count("accuracy") == 1


def test_json_holds_every_row(tmp_path):
    study = searched(["accuracy"], trials=5)
    read = json.loads(write_leaderboard(study, tmp_path / "board.json").read_text())
    assert [row["trial"] for row in read] == [row.trial for row in leaderboard(study)]


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.csv or \.json, got '.*board\.txt'"):
        write_leaderboard(plain_optuna(3), tmp_path / "board.txt")
