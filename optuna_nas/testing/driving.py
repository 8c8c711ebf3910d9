"""The ways in which a study can be driven, and the ways in which trials end."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import Trial, TrialState

from optuna_nas.testing.objectives import OPERATIONS, large_objective, small_objective
from optuna_nas.testing.suite import SamplerSuite, StudyFactory, params_of


class DrivingPromises(SamplerSuite):
    """Whatever Optuna offers works with the sampler."""

    def test_enqueued_and_added_trials(self, make_study: StudyFactory) -> None:
        """Enqueued parameters are kept, also a part of them, and added trials disturb nothing."""
        study = make_study(0)
        for _ in range(3):
            study.enqueue_trial({"layers": 2, "layer0": "skip"})  # the rest is sampled
        study.add_trial(
            optuna.create_trial(
                params={"layers": 1, "layer0": "conv"},
                distributions={
                    "layers": IntDistribution(1, 2),
                    "layer0": CategoricalDistribution(OPERATIONS),
                },
                value=0.0,
            )
        )
        study.optimize(small_objective, n_trials=30)
        assert all(params["layer0"] == "skip" for params in params_of(study)[:3])
        assert len(study.trials) == 31

    def test_partly_fixed_parameters(self, make_study: StudyFactory) -> None:
        """Under `PartialFixedSampler` the rest varies, and no fixed parameter does."""
        study = make_study(0)
        study.optimize(large_objective, n_trials=30)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.sampler = optuna.samplers.PartialFixedSampler({"edge0": 0}, study.sampler)
        study.optimize(large_objective, n_trials=30)
        late = params_of(study)[30:]
        assert all(params["edge0"] == 0 for params in late)
        different = len({tuple(params.values()) for params in late})
        assert different >= 25, f"{different} different ones of 30 trials with one fixed parameter"

    def test_ask_with_distributions_and_tell(self, make_study: StudyFactory) -> None:
        """Parameters may be asked for beforehand, with ranges that change on the way."""
        study = make_study(0)
        for high in (10, 100, 5):
            distributions = {
                "width": IntDistribution(1, high),
                "kind": CategoricalDistribution(("a", "b")),
            }
            for _ in range(15):
                trial = study.ask(distributions)
                assert 1 <= trial.params["width"] <= high
                study.tell(trial, trial.params["width"])

    def test_failures_pruning_and_nan(self, make_study: StudyFactory) -> None:
        """Trials that fail, are pruned or return NaN do not end a study."""
        study = make_study(0)

        def objective(trial: Trial) -> float:
            value = large_objective(trial)
            trial.report(value, step=0)
            if trial.number % 5 == 1:
                raise optuna.TrialPruned
            if trial.number % 5 == 2:
                raise RuntimeError("a bad candidate")
            return float("nan") if trial.number % 5 == 3 else value

        study.optimize(objective, n_trials=100, catch=(RuntimeError,))
        states = Counter(trial.state for trial in study.trials)
        assert states == {TrialState.COMPLETE: 40, TrialState.PRUNED: 20, TrialState.FAIL: 40}

    def test_nothing_but_failures(self, make_study: StudyFactory) -> None:
        """A study in which every trial fails, some before they ask for anything, goes on."""
        study = make_study(0)

        def objective(trial: Trial) -> float:
            if trial.number % 2:
                large_objective(trial)
            raise RuntimeError("a bad machine")

        study.optimize(objective, n_trials=40, catch=(RuntimeError,))
        assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 40

    def test_hyperband_brackets(self, make_study: StudyFactory) -> None:
        """`HyperbandPruner`, which hands samplers a part of the study, works."""
        pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
        study = make_study(0, pruner=pruner)

        def objective(trial: Trial) -> float:
            value = large_objective(trial)
            for step in range(9):
                trial.report(value * (step + 1) / 9, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return value

        study.optimize(objective, n_trials=60)
        assert len(study.trials) == 60

    @pytest.mark.parametrize(
        "directions",
        [("maximize",), ("maximize", "minimize")],
        ids=["one objective", "two objectives"],
    )
    def test_constraints(self, make_study: StudyFactory, directions: Sequence[str]) -> None:
        """Constraints work, with one objective and with two."""
        study = make_study(0, direction=None, directions=directions)

        def objective(trial: Trial) -> float | tuple[float, float]:
            value = large_objective(trial)
            trial.set_constraint("too large", value - 12)
            return value if len(directions) == 1 else (value, -float(trial.params["edge0"]))

        study.optimize(objective, n_trials=80)
        assert all(trial.values[0] <= 12 for trial in study.best_trials)
