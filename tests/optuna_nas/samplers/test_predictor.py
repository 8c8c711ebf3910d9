"""The predictor in studies."""

from __future__ import annotations

import itertools

import numpy as np
import optuna
import pytest
from optuna.trial import Trial, TrialState

from optuna_nas.errors import InfeasibleArchitectureError
from optuna_nas.samplers import PredictorSampler
from optuna_nas.search.hypervolume import hypervolume
from optuna_nas.spaces import nas_bench_201
from optuna_nas.testing.samplers import SamplerFactory, SamplerPromises, params_of
from tests.optuna_nas.samplers.studies import create_study, mean_best

pytestmark = pytest.mark.usefixtures("quiet_optuna")


class TestPredictor(SamplerPromises):
    @pytest.fixture
    def make_sampler(self) -> SamplerFactory:
        return lambda seed: PredictorSampler(seed=seed, n_candidates=30)


def edges(trial: Trial) -> list[int]:
    return ["abcde".index(trial.suggest_categorical(f"edge{i}", list("abcde"))) for i in range(6)]


def rugged(trial: Trial) -> float:
    """Additive, and a prize for equal neighbours; the best of 15,625 is 24 + 5."""
    values = edges(trial)
    return float(sum(values)) + sum(a == b for a, b in itertools.pairwise(values))


def two(trial: Trial) -> tuple[float, float]:
    values = edges(trial)
    return float(sum(v**2 for v in values)), float(sum((4 - v) ** 2 for v in values))


def test_it_finds_the_optimum_of_thousands_in_few_trials():
    for seed in range(3):
        study = create_study(PredictorSampler(seed=seed))
        study.optimize(rugged, n_trials=40)
        assert study.best_value == 29


def test_noise_does_not_mislead_it():
    study = create_study(PredictorSampler(seed=0))
    rng = np.random.default_rng(0)
    study.optimize(lambda trial: rugged(trial) + rng.normal(), n_trials=60)
    assert sum("abcde".index(v) for v in study.best_params.values()) >= 22


def test_coordinated_depth_and_layers():
    """Depth pays only where the layers fit, and the reverse."""

    def objective(trial: Trial) -> float:
        depth = trial.suggest_int("depth", 1, 8)
        layers = [trial.suggest_categorical(f"op{i}", ["x", "y", "z"]) for i in range(depth)]
        fitting = sum(op == "xyzxyzxy"[i] for i, op in enumerate(layers[:6]))
        return fitting - 0.6 * abs(depth - 6)

    ours = mean_best(lambda seed: PredictorSampler(seed=seed), objective, seeds=3, n_trials=50)
    tpe = mean_best(
        lambda seed: optuna.samplers.TPESampler(seed=seed), objective, seeds=3, n_trials=50
    )
    assert ours > 5.5
    assert ours > tpe + 0.5


def front_volume(study: optuna.Study) -> float:
    values = np.array([t.values for t in study.trials if t.state == TrialState.COMPLETE])
    return hypervolume(values, np.array([96.0, 96.0]))


def test_two_objectives_beat_nsga_ii():
    def run(sampler):
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        study.optimize(two, n_trials=60)
        return front_volume(study)

    predictor = run(PredictorSampler(seed=0))
    known = run(PredictorSampler(seed=0, known_objectives={1: second}))
    others = [run(optuna.samplers.NSGAIISampler(seed=seed, population_size=20)) for seed in (0, 1)]
    assert min(predictor, known) > max(others)


def second(params) -> float:
    return float(sum((4 - "abcde".index(value)) ** 2 for value in params.values()))


def test_known_objectives_keep_their_direction_and_reject():
    """The cheap objective is maximised, and has no value for a fifth of the candidates."""
    rejected = []

    def cheap(params) -> float:
        if params["edge0"] == "a":
            rejected.append(params)
            raise InfeasibleArchitectureError("too large", params)
        return float(sum("abcde".index(value) for value in params.values()))

    sampler = PredictorSampler(seed=0, known_objectives={1: cheap})
    study = optuna.create_study(directions=["maximize", "maximize"], sampler=sampler)

    def objective(trial: Trial) -> tuple[float, float]:
        values = edges(trial)
        return -float(sum(v**2 for v in values)), float(sum(values))

    study.optimize(objective, n_trials=40)
    assert rejected
    assert all(trial.params["edge0"] != "a" for trial in study.trials[10:])
    assert max(trial.values[1] for trial in study.trials) >= 20


def test_known_objectives_must_leave_one():
    study = create_study(PredictorSampler(seed=0, known_objectives={0: second}))
    with pytest.raises(ValueError, match="some, but not all"):
        study.optimize(rugged, n_trials=2)


def test_three_objectives():
    study = optuna.create_study(
        directions=["minimize"] * 3, sampler=PredictorSampler(seed=0, n_candidates=30)
    )
    study.optimize(lambda trial: (*two(trial), abs(sum(edges(trial)) - 12.0)), n_trials=30)
    assert len({tuple(p.values()) for p in params_of(study)}) == 30


def test_failures_are_learned_from():
    """A third of the architectures fails, and the best values are next to them."""

    def objective(trial: Trial) -> float:
        value = rugged(trial)
        if trial.params["edge0"] in "de":
            raise RuntimeError("out of memory")
        return value

    study = create_study(PredictorSampler(seed=0))
    study.optimize(objective, n_trials=60, catch=(RuntimeError,))
    late = [trial.state == TrialState.FAIL for trial in study.trials[20:]]
    assert np.mean(late) < 0.25
    assert study.best_value >= 26


def test_all_fail():
    study = create_study(PredictorSampler(seed=0))

    def objective(trial: Trial) -> float:
        rugged(trial)
        raise RuntimeError

    study.optimize(objective, n_trials=25, catch=(RuntimeError,))
    assert len({tuple(p.values()) for p in params_of(study)}) == 25


def test_nothing_is_feasible_at_first():
    """Until something is feasible, less violation is searched for."""

    def objective(trial: Trial) -> float:
        value = rugged(trial)
        trial.set_constraint("small", sum("abcde".index(v) for v in trial.params.values()) - 1.5)
        return value

    study = create_study(PredictorSampler(seed=1))
    study.optimize(objective, n_trials=60)
    violations = [next(iter(trial.constraints.values())) for trial in study.trials]
    assert min(violations[:10]) > 0
    assert min(violations) <= 0


@pytest.mark.parametrize("value", [0.0, float("inf"), float("nan")])
def test_values_without_information(value):
    study = create_study(PredictorSampler(seed=0, n_startup_trials=3))

    def objective(trial: Trial) -> float:
        edges(trial)
        return value

    study.optimize(objective, n_trials=15)
    assert len({tuple(p.values()) for p in params_of(study)}) == 15


def test_one_decision_is_exhausted():
    study = create_study(PredictorSampler(seed=0, n_startup_trials=2))
    study.optimize(lambda trial: trial.suggest_int("depth", 1, 4), n_trials=8)
    assert sorted(trial.params["depth"] for trial in study.trials[:4]) == [1, 2, 3, 4]
    study = create_study(PredictorSampler(seed=0, n_startup_trials=2))
    study.optimize(lambda trial: trial.suggest_float("lr", 0.1, 0.1), n_trials=5)
    assert len(study.trials) == 5


def test_mixed_continuous_parameters():
    def objective(trial: Trial) -> float:
        rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
        width = trial.suggest_int("width", 8, 512, log=True)
        dropout = trial.suggest_float("dropout", 0.0, 0.5)
        bonus = {"a": 0.0, "b": 1.0, "c": 0.3}[trial.suggest_categorical("kind", list("abc"))]
        return bonus - (np.log10(rate) + 3) ** 2 - (np.log2(width) - 7) ** 2 / 4 - dropout

    study = create_study(PredictorSampler(seed=0))
    study.optimize(objective, n_trials=50)
    assert study.best_value > 0.8


def test_batches_are_diverse():
    study = create_study(PredictorSampler(seed=0))
    study.optimize(rugged, n_trials=15)
    trials = [study.ask() for _ in range(8)]
    chosen = {tuple(edges(trial)) for trial in trials}
    assert len(chosen) == 8


def test_extra_features_are_used_and_reject():
    """The objective is a number that parameters do not show; the feature does."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=[5] * 6)

    def score(params) -> dict[str, float]:
        if params["edge5"] == "e":
            raise InfeasibleArchitectureError("no network", params)
        place = tuple("abcde".index(params[f"edge{i}"]) for i in range(6))
        return {"score": float(table[place]), "broken": float("nan")}

    def run(**arguments) -> optuna.Study:
        study = create_study(PredictorSampler(seed=0, **arguments))
        study.optimize(lambda trial: float(table[tuple(edges(trial))]), n_trials=40)
        return study

    informed = run(extra_features=score)
    assert informed.best_value > run().best_value
    assert all(params["edge5"] != "e" for params in params_of(informed)[10:])


def test_progressive_widening():
    def objective(trial: Trial) -> float:
        depth = trial.suggest_int("depth", 1, 6)
        return float(sum(trial.suggest_categorical(f"op{i}", [0, 1, 2]) for i in range(depth)))

    study = create_study(PredictorSampler(seed=0, n_startup_trials=5, widen={"depth": 8}))
    study.enqueue_trial({"depth": 6})  # what somebody asked for is done
    study.optimize(objective, n_trials=50)
    depths = [trial.params["depth"] for trial in study.trials]
    assert depths[0] == 6
    assert all(depth <= 1 + number // 8 for number, depth in enumerate(depths) if number)
    assert max(depths[1:]) == 6


def test_a_declared_space_takes_equal_networks_for_one():
    space = nas_bench_201(cells=1, channels=2, input_shape=(8, 8, 3))
    study = create_study(PredictorSampler(seed=0, space=space, n_candidates=20))
    identities = []

    def objective(trial: Trial) -> float:
        graph = space.graph(space.suggest(trial))
        identities.append(graph.canonical_id)
        return graph.params

    study.optimize(objective, n_trials=25)
    assert len(set(identities)) == 25
    assert (
        study.best_value
        == space.graph(
            space.genotype(
                {
                    f"cell/{e}": "nor_conv_3x3"
                    for e in ("0->1", "0->2", "1->2", "0->3", "1->3", "2->3")
                }
            )
        ).params
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_startup_trials": 0}, "n_startup_trials"),
        ({"n_candidates": 0}, "n_candidates"),
        ({"widen": {"depth": 0}}, "widen"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        PredictorSampler(**arguments)
