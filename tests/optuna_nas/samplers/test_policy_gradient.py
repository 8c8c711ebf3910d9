"""The policy-gradient sampler in studies."""

from __future__ import annotations

import pickle

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import Trial

from optuna_nas._optuna import NOTE
from optuna_nas.samplers import PolicyGradientSampler
from optuna_nas.search import absolute_reward, cubic_reward
from optuna_nas.space import Choice, Repeat, SearchSpace, conv, global_average_pooling, identity
from optuna_nas.testing.samplers import SamplerFactory, SamplerPromises

pytestmark = pytest.mark.usefixtures("quiet_optuna")


class TestPromises(SamplerPromises):
    @pytest.fixture
    def make_sampler(self) -> SamplerFactory:
        return lambda seed: PolicyGradientSampler(seed=seed)


def layers(trial: Trial) -> float:
    depth = trial.suggest_int("depth", 1, 5)
    operations = [trial.suggest_categorical(f"layer{i}", ("a", "b", "c")) for i in range(depth)]
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    return operations.count("b") - 0.5 * operations.count("a") - abs(np.log10(rate) + 2)


@pytest.mark.parametrize("policy", ["recurrent", "independent"])
@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_it_beats_random_search(policy, algorithm):
    late = {}
    for name, sampler in {
        "ours": PolicyGradientSampler(seed=0, policy=policy, algorithm=algorithm),
        "random": RandomSampler(seed=0),
    }.items():
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(layers, n_trials=150)
        late[name] = np.mean([trial.value for trial in study.trials[-30:]])
    assert late["ours"] > late["random"] + 1.5


def test_the_unit_of_the_objective_does_not_matter():
    runs = []
    for scale in (1.0, 1024.0):
        study = optuna.create_study(sampler=PolicyGradientSampler(seed=0))
        study.optimize(lambda trial, scale=scale: -scale * layers(trial), n_trials=40)
        runs.append([trial.params for trial in study.trials])
    assert runs[0] == runs[1]


def test_trials_that_ran_together_note_what_they_were_drawn_with():
    study = optuna.create_study(direction="maximize", sampler=PolicyGradientSampler(seed=0))
    study.optimize(layers, n_trials=40)
    trials = [study.ask() for _ in range(12)]
    values = [layers(trial) for trial in trials]
    for trial, value in zip(trials, values, strict=True):
        study.tell(trial, value)
    study.optimize(layers, n_trials=5)
    for trial in study.trials[40:52]:
        noted = trial.system_attrs[NOTE]["log_probabilities"]
        assert noted.keys() >= {"depth", "rate"}
        assert all(value <= 0 for value in noted.values())


def test_reward_for_two_objectives():
    def objective(trial):
        width = trial.suggest_int("width", 1, 16)
        kernel = trial.suggest_categorical("kernel", (1, 3, 5))
        return width * kernel / 80, width * kernel

    sampler = PolicyGradientSampler(
        seed=0,
        deduplicate=False,
        reward=lambda accuracy, cost: absolute_reward(accuracy, cost, target=20.0, weight=-1.0),
    )
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=250)
    costs = [trial.values[1] for trial in study.trials[-50:]]
    assert 10 < np.median(costs) < 30


def test_a_reward_of_the_literature():
    study = optuna.create_study(
        direction="maximize", sampler=PolicyGradientSampler(seed=0, reward=cubic_reward)
    )
    study.optimize(lambda trial: (layers(trial) + 6) / 12, n_trials=150)
    values = [trial.value for trial in study.trials]
    assert np.mean(values[-30:]) > np.mean(values[:30]) + 0.1


def test_it_learns_from_trials_of_others():
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=1))
    study.optimize(layers, n_trials=200)
    study.sampler = PolicyGradientSampler(seed=0)
    study.optimize(layers, n_trials=20)
    values = [trial.value for trial in study.trials]
    assert np.mean(values[200:]) > np.mean(values[:200]) + 1


def test_a_declared_space():
    space = SearchSpace(
        "small",
        input_shape=(8, 8, 3),
        classes=4,
        body=[
            Repeat(
                "layer",
                1,
                4,
                body=Choice(
                    "block",
                    {
                        "conv": conv(filters=8, kernel=Choice("kernel", [1, 3])),
                        "skip": identity(),
                    },
                ),
            ),
            global_average_pooling(),
        ],
    )

    def objective(trial: Trial) -> float:
        return -abs(space.graph(space.suggest(trial)).macs - 60_000.0)

    sampler = PolicyGradientSampler(seed=0, space=space)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=60)
    identities = [space.identity(space.genotype(trial.params)) for trial in study.trials]
    assert len(set(identities)) >= len(identities) // 3
    assert np.mean([t.value for t in study.trials[-20:]]) > np.mean(
        [t.value for t in study.trials[:20]]
    )


def test_choices_and_ranges_that_grow():
    study = optuna.create_study(direction="maximize", sampler=PolicyGradientSampler(seed=0))

    def objective(trial: Trial) -> float:
        high = 2 + trial.number // 20
        value = trial.suggest_int("depth", 1, high)
        extra = trial.suggest_categorical("late", (0, 1)) if trial.number > 30 else 0
        return value + extra

    study.optimize(objective, n_trials=100)
    assert np.mean([trial.value for trial in study.trials[-15:]]) > 4.5  # 4 at random


def test_a_sampler_with_a_named_reward_can_be_pickled():
    sampler = PolicyGradientSampler(seed=0, reward=cubic_reward)
    assert isinstance(pickle.loads(pickle.dumps(sampler)), PolicyGradientSampler)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "lstm"}, 'policy must be "recurrent" or "independent", got \'lstm\''),
        ({"algorithm": "a2c"}, 'algorithm must be "ppo" or "reinforce", got \'a2c\''),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"temperature": float("nan")}, "temperature must be above 0"),
        ({"tanh_constant": -1.0}, "tanh_constant must be above 0"),
        ({"entropy_weight": -1.0}, "entropy_weight must be at least 0"),
        ({"entropy_weight": "0.1"}, "entropy_weight must be at least 0 and finite, got '0.1'"),
        ({"learning_rate": "0.1"}, "learning_rate must be above 0 and finite, got '0.1'"),
        ({"baseline_decay": 1.0}, "baseline_decay must be below 1"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ({"epochs": 0}, "epochs must be"),
        ({"hidden_size": 0}, "hidden_size must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        PolicyGradientSampler(**arguments)
