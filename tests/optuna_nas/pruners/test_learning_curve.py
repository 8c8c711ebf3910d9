"""What `LearningCurvePruner` decides, stores and remembers beyond the suite of promises."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from optuna_nas._optuna import CURVE, curve_of, predicted_values
from optuna_nas.errors import CurveError
from optuna_nas.pruners import LearningCurvePruner
from optuna_nas.pruners._study_curves import PEERS, LossCurve, StudyCurves
from optuna_nas.testing.learning_curves import QUALITIES, curve, follow

pytestmark = pytest.mark.usefixtures("quiet_optuna")


def study_of(pruner: LearningCurvePruner, qualities: Sequence[float] = QUALITIES[:8]) -> Study:
    """A study with completed trials."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for quality in qualities:
        add(study, curve(quality))
    return study


def add(study: Study, values: Sequence[float], state: TrialState = TrialState.COMPLETE) -> None:
    study.add_trial(
        optuna.create_trial(
            state=state,
            value=values[-1] if state == TrialState.COMPLETE else None,
            intermediate_values=dict(enumerate(values, start=1)),
        )
    )


def test_the_prediction_is_kept_where_samplers_find_it() -> None:
    study = study_of(LearningCurvePruner())
    stopped_at = follow(study, curve(0.1))
    assert stopped_at is not None
    trial = study.trials[-1]
    record = curve_of(trial)
    assert record is not None
    assert record.stopped_at == stopped_at
    assert record.probability is not None
    assert record.threshold is not None
    assert 0.0 <= record.probability < record.threshold <= 0.1
    assert record.max_step == 20
    predicted = predicted_values(trial)
    assert predicted is not None
    # Of a curve just like the others, nearer to its final value than to its last report.
    assert predicted[0] == pytest.approx(0.1 * (1 - math.exp(-4)), abs=0.06)


def test_completed_trials_carry_nothing() -> None:
    study = study_of(LearningCurvePruner())
    assert follow(study, curve(0.9)) is None
    assert CURVE not in study.trials[-1].user_attrs


def test_another_process_gives_the_same_answer() -> None:
    study = study_of(LearningCurvePruner())
    trial = study.ask()
    for step, value in enumerate(curve(0.1), start=1):
        trial.report(value, step)
        if trial.should_prune():
            break
    for _ in range(5):
        add(study, curve(0.01))
    elsewhere = optuna.load_study(
        study_name=study.study_name, storage=study._storage, pruner=LearningCurvePruner(20)
    )
    again = optuna.trial.Trial(elsewhere, trial._trial_id)
    assert again.should_prune()
    again.report(0.9, 19)
    assert again.should_prune()  # a trial once to be pruned stays so


def test_the_first_trials_are_not_pruned() -> None:
    study = study_of(LearningCurvePruner(n_startup_trials=8), QUALITIES[:7])
    assert follow(study, curve(0.01)) is None
    assert follow(study, curve(0.01)) is not None


def test_warm_up_and_interval() -> None:
    study = study_of(LearningCurvePruner(min_probability=0.9))
    assert follow(study, curve(0.01)) == 2  # never at the first report
    study.pruner = LearningCurvePruner(min_probability=0.9, n_warmup_steps=7)
    assert follow(study, curve(0.01)) == 7
    pruner = LearningCurvePruner(n_warmup_steps=2, interval_steps=5)
    steps = np.array([1.0, 4.0, 8.0, 9.0, 11.0, 13.0])
    early = [pruner._is_early(LossCurve(steps[:n], np.zeros((n, 1)))) for n in range(1, 7)]
    assert early == [True, False, False, True, True, False]


def test_a_report_better_than_the_best_protects() -> None:
    study = study_of(LearningCurvePruner(min_probability=1.0, protected_fraction=0.0))
    spike = curve(0.05)
    spike[1] = 0.95
    assert follow(study, spike) is None


def test_the_best_at_a_step_are_protected() -> None:
    qualities = np.linspace(0.1, 0.6, 20)
    bad_but_leading = [0.3, 0.31, 0.32, 0.33, 0.33, 0.33]
    for fraction, protected in ((0.0, False), (0.5, True)):
        pruner = LearningCurvePruner(20, min_probability=1.0, protected_fraction=fraction)
        study = study_of(pruner, qualities)
        assert (follow(study, bad_but_leading) is None) is protected


def test_threshold_falls_with_what_was_spent_and_what_is_left() -> None:
    pruner = LearningCurvePruner()
    curves = StudyCurves([optuna.study.StudyDirection.MAXIMIZE])
    curves.front = np.array([[0.0]])
    curves.spent = 800.0
    assert pruner._threshold(curves, 10.0, 50.0) == pytest.approx(0.05)  # 40 / 800
    assert pruner._threshold(curves, 40.0, 50.0) == pytest.approx(0.0125)
    curves.spent = 1e6
    assert pruner._threshold(curves, 10.0, 50.0) == 0.005
    curves.spent = 10.0
    assert pruner._threshold(curves, 10.0, 50.0) == 0.1


@pytest.mark.parametrize("fixed", [None, 0.07])
def test_threshold_grows_in_the_first_steps(fixed: float | None) -> None:
    pruner = LearningCurvePruner(min_probability=fixed)
    curves = StudyCurves([optuna.study.StudyDirection.MAXIMIZE])
    curves.front = np.array([[0.0]])
    full = fixed or 0.1
    found = [pruner._threshold(curves, step, 100.0) for step in (0.0, 3.0, 15.0, 90.0)]
    assert found == pytest.approx([0.0, 0.2 * full, full, full])


def test_top_fraction_asks_for_less_than_the_best() -> None:
    strict = study_of(LearningCurvePruner(min_probability=0.5), QUALITIES)
    lenient = study_of(LearningCurvePruner(min_probability=0.5, top_fraction=0.9), QUALITIES)
    assert follow(strict, curve(0.3)) is not None
    assert follow(lenient, curve(0.3)) is None


def test_infeasible_trials_set_no_bar() -> None:
    study = study_of(LearningCurvePruner())
    for _ in range(2):
        trial = study.ask()
        trial.set_constraint("too large", 1.0)
        for step, value in enumerate(curve(0.99), start=1):
            trial.report(value, step)
        study.tell(trial, value)
    follow(study, curve(0.1))
    (memory,) = study.pruner._memories.values()
    assert memory.curves.front == pytest.approx(-max(curve(0.7)))  # the best that is allowed


def test_a_length_for_each_trial() -> None:
    pruner = LearningCurvePruner(lambda trial: int(trial.user_attrs["epochs"]), min_probability=0.5)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for quality in QUALITIES[:8]:
        trial = study.ask()
        trial.set_user_attr("epochs", 20)
        for step, value in enumerate(curve(quality), start=1):
            trial.report(value, step)
        study.tell(trial, value)
    trial = study.ask()
    trial.set_user_attr("epochs", 40)
    trial.report(0.01, 1)
    trial.report(0.02, 2)
    trial.report(0.02, 3)
    trial.report(0.02, 5)
    trial.should_prune()
    (memory,) = pruner._memories.values()
    assert memory.decisions[trial.number].max_step == 40


def test_two_reports_without_a_number_end_a_trial() -> None:
    study = optuna.create_study(direction="maximize", pruner=LearningCurvePruner())
    assert follow(study, [0.1, math.nan, 0.2, math.inf, math.nan, 0.3]) == 5
    assert CURVE not in study.trials[-1].user_attrs


def test_what_trials_that_ended_early_say_of_the_horizon() -> None:
    steps = np.arange(1.0, 11.0)
    waiting = LossCurve(steps, np.r_[1.0, 0.5, 0.4, np.full(7, 0.45)][:, None])
    assert waiting.of(0, 20.0)[0].tolist() == [*steps, 20.0]
    assert waiting.of(0, 20.0)[1][-1] == 0.45
    improving = LossCurve(steps, -steps[:, None])
    assert improving.of(0, 20.0)[0].tolist() == [*steps]
    assert waiting.of(0, 10.0)[0].tolist() == [*steps]


def test_memory_is_bounded() -> None:
    pruner = LearningCurvePruner()
    study = study_of(pruner, np.linspace(0.1, 0.8, 3 * PEERS))
    for _ in range(3 * PEERS):
        follow(study, curve(0.01))
    (memory,) = pruner._memories.values()
    assert len(memory.curves.completed) == len(memory.curves.stopped) == PEERS
    assert len(memory.decisions) <= 1
    assert memory.curves.completions == 3 * PEERS


def test_every_trial_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    absorb = StudyCurves._absorb

    def counting(self: StudyCurves, trial: optuna.trial.FrozenTrial) -> None:
        read.append(trial.number)
        absorb(self, trial)

    monkeypatch.setattr(StudyCurves, "_absorb", counting)
    study = study_of(LearningCurvePruner())
    running = study.ask()  # finishes after others that began later
    for quality in QUALITIES:
        follow(study, curve(quality))
    study.tell(running, 0.5)
    follow(study, curve(0.5))
    assert sorted(read) == list(range(len(study.trials) - 1))


def test_it_saves_steps_and_finds_the_best() -> None:
    rng = np.random.default_rng(0)
    study = optuna.create_study(direction="maximize", pruner=LearningCurvePruner())
    qualities = rng.beta(4, 2, size=60)
    for quality in qualities:
        noise = rng.normal(0.0, 0.003, 20)
        follow(study, [value + e for value, e in zip(curve(float(quality)), noise, strict=True)])
    spent = sum(trial.last_step or 0 for trial in study.trials)
    assert spent < 0.6 * 20 * len(qualities)
    assert study.best_trial.number == int(np.argmax(qualities))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"max_step": 0}, "max_step"),
        ({"min_probability": 2.0}, "min_probability"),
        ({"top_fraction": -0.1}, "top_fraction"),
        ({"n_startup_trials": -1}, "n_startup_trials"),
        ({"n_warmup_steps": 1.5}, "n_warmup_steps"),
        ({"interval_steps": 0}, "interval_steps"),
        ({"protected_fraction": "a"}, "protected_fraction"),
    ],
)
def test_arguments_without_a_meaning_are_refused(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must be"):
        LearningCurvePruner(**arguments)  # type: ignore[arg-type]


def test_an_unknown_method_is_refused_at_once() -> None:
    with pytest.raises(CurveError, match="crystal ball"):
        LearningCurvePruner(method="crystal ball")
