"""What the report says and draws of pruning."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from optuna.study import Study
from optuna.trial import TrialState, create_trial
from report_studies import new_study

from optuna_nas._optuna import CURVE, CurveRecord
from optuna_nas.pruners import LearningCurvePruner
from optuna_nas.report import plot_calibration, plot_extrapolation, write_report
from optuna_nas.report.pruning import pruning_cost_of
from optuna_nas.report.reading import read_study
from optuna_nas.testing.learning_curves import curve, follow
from tests.optuna_nas.pruners.objectives import recorded_quality


@pytest.fixture(scope="module")
def study() -> Study:
    """Twelve trials or more completed, some pruned."""
    rng = np.random.default_rng(0)
    made = new_study("maximize")
    made.pruner = LearningCurvePruner(min_probability=0.1)
    for _ in range(40):
        noise = rng.normal(0.0, 0.01, 20)
        values = curve(float(rng.uniform(0.3, 0.9)))
        follow(made, [float(v + e) for v, e in zip(values, noise, strict=True)])
    return made


def pruned_at(step: int, *, predicted: float, std: float, probability: float) -> dict:
    record = CurveRecord([predicted], [std], probability, 0.1, step, 20)
    return {"state": TrialState.PRUNED, "user_attrs": {CURVE: record.to_dict()}}


def test_the_balance_of_pruning() -> None:
    study = new_study("maximize")
    full = dict.fromkeys(range(1, 21), 0.8)
    study.add_trial(create_trial(value=0.8, intermediate_values=full))
    for step, chance in ((5, 0.1), (10, 0.02)):
        judged = pruned_at(step, predicted=0.6, std=0.1, probability=chance)
        study.add_trial(create_trial(intermediate_values={step: 0.5}, **judged))
    cost = pruning_cost_of(read_study(study))
    assert cost is not None
    assert (cost.pruned, cost.spent, cost.saved) == (2, 35.0, 25.0)
    assert cost.share == pytest.approx(25 / 60)
    assert cost.chance == pytest.approx(1.0 - 0.9 * 0.98)
    # Two standard deviations below the best: 0.1 · (φ(2) - 2 Φ(-2)) each.
    assert cost.regret == pytest.approx(2 * 0.1 * (0.0539910 - 2 * 0.0227501), rel=1e-4)


def test_pruners_that_predict_nothing() -> None:
    study = new_study("minimize")
    study.add_trial(create_trial(value=0.8, intermediate_values={1: 1.0, 9: 0.8}))
    study.add_trial(create_trial(state=TrialState.PRUNED, intermediate_values={1: 2.0}))
    cost = pruning_cost_of(read_study(study))
    assert cost is not None
    assert (cost.saved, cost.chance, cost.regret) == (8.0, None, None)


def test_no_pruning_no_section(tmp_path: Path) -> None:
    study = new_study("maximize")
    study.add_trial(create_trial(value=0.8, intermediate_values={1: 0.8}))
    assert pruning_cost_of(read_study(study)) is None
    assert 'id="pruning"' not in write_report(study, tmp_path).read_text(encoding="utf-8")


def test_the_page_has_a_section(study: Study, tmp_path: Path) -> None:
    text = write_report(study, tmp_path).read_text(encoding="utf-8")
    assert 'id="pruning"' in text
    assert "steps saved" in text
    assert "chance that a better trial was pruned, at most" in text
    assert "figure-pruning" in text


def test_several_objectives(tmp_path: Path) -> None:
    study = new_study("maximize", "minimize")
    study.pruner = LearningCurvePruner(20, min_probability=0.2)

    for quality in (0.9, 0.8, 0.85, 0.7, 0.75, 0.1):
        study.enqueue_trial({"quality": quality})
    study.optimize(recorded_quality, n_trials=6)
    cost = pruning_cost_of(read_study(study))
    assert cost is not None
    assert cost.regret is None
    assert cost.saved > 10
    assert "figure-pruning" in write_report(study, tmp_path).read_text(encoding="utf-8")
    stopped = study.trials[-1].number
    assert any(trace.fill == "toself" for trace in plot_extrapolation(study, stopped).data)


def test_extrapolation_of_one_trial(study: Study) -> None:
    pruned = next(t for t in study.trials if t.state == TrialState.PRUNED)
    figure = plot_extrapolation(study, pruned.number)
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert [band.name for band in bands] == [
        "90 % of the probability",
        "50 % of the probability",
    ]
    assert all(max(band.x) == 20 and min(band.x) == pruned.last_step for band in bands)
    observed = next(trace for trace in figure.data if trace.name == f"trial {pruned.number}")
    assert list(observed.y) == list(pruned.intermediate_values.values())
    texts = [annotation.text for annotation in figure.layout.annotations]
    assert f"pruned at step {pruned.last_step}: {20 - pruned.last_step} steps saved" in texts


def test_a_trial_without_anything_ahead(study: Study) -> None:
    complete = study.best_trial.number
    with pytest.raises(ValueError, match=f"pruned before the last step, got {complete}"):
        plot_extrapolation(study, complete)
    with pytest.raises(ValueError, match="ended with reports, got 999"):
        plot_extrapolation(study, 999)


def test_calibration(study: Study) -> None:
    figure = plot_calibration(study)
    assert [trace.name for trace in figure.data][:2] == ["calibrated", "from 10 % of the curve"]
    for trace in figure.data[1:]:
        held = list(trace.y)
        assert held == sorted(held)
        assert held[-1] == 1.0
        assert not math.isnan(held[0])


def test_calibration_needs_curves() -> None:
    study = new_study("maximize")
    for _ in range(3):
        study.add_trial(create_trial(value=0.8, intermediate_values={1: 0.8}))
    with pytest.raises(ValueError, match="more than 5 completed trials of full length"):
        plot_calibration(study)
