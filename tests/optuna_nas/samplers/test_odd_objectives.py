"""What Optuna takes, every sampler takes: odd choices, huge numbers, objectives that fail."""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.trial import Trial

from optuna_nas.samplers import (
    LocalSearchSampler,
    PolicyGradientSampler,
    PredictorSampler,
    RegularizedEvolutionSampler,
)

SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "evolution": lambda: RegularizedEvolutionSampler(seed=0, n_startup_trials=4),
    "local search": lambda: LocalSearchSampler(seed=0, n_startup_trials=4),
    "policy gradient": lambda: PolicyGradientSampler(seed=0, batch_size=4),
    "predictor": lambda: PredictorSampler(seed=0, n_startup_trials=4, n_candidates=20),
}


@pytest.fixture(params=list(SAMPLERS))
def sampler(request: pytest.FixtureRequest) -> BaseSampler:
    return SAMPLERS[request.param]()


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_choices_that_are_not_hashable(sampler):
    choices = [[64], [64, 32], {"units": [8]}]
    study = optuna.create_study(sampler=sampler)

    def objective(trial: Trial) -> float:
        chosen = trial.suggest_categorical("layers", choices)
        return choices.index(chosen) + trial.suggest_float("rate", 0, 1)

    study.enqueue_trial({"layers": [64, 32]})
    study.optimize(objective, n_trials=20)
    assert study.trials[0].params["layers"] == [64, 32]
    assert study.best_trial.params["layers"] == [64]


def test_integers_of_64_bits(sampler):
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: abs(t.suggest_int("count", -(2**62), 2**62)), n_trials=20)
    assert len({trial.params["count"] for trial in study.trials}) == 20


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"]])
def test_values_near_the_largest_numbers_there_are(sampler, directions):
    values = [1e307, -1e307, 1e300, -1e300, 1e-310, float("inf"), float("-inf"), float("nan")]
    study = optuna.create_study(directions=directions, sampler=sampler)

    def objective(trial: Trial) -> list[float]:
        trial.suggest_float("x", 0, 1)
        trial.suggest_int("y", 0, 9)
        return [values[trial.number % 8], values[trial.number // 3 % 8]][: len(directions)]

    study.optimize(objective, n_trials=40)
    assert len(study.trials) == 40


def test_a_space_by_its_name_is_refused():
    with pytest.raises(TypeError, match="space must be a SearchSpace, or None, got 'small'"):
        LocalSearchSampler(space="small")  # type: ignore[arg-type]
