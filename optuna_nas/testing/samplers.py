"""What every sampler of this project promises beyond Optuna's own conformance suites.

Subclass `SamplerPromises` in a test module and override its fixture::

    class TestMySampler(SamplerPromises):
        @pytest.fixture
        def make_sampler(self):
            return lambda seed: MySampler(seed=seed)

Let pytest explain its asserts: ``pytest.register_assert_rewrite("optuna_nas.testing.samplers")``
in conftest.py. Run Optuna's suites (`optuna.testing.pytest_samplers`) as well.
"""

from __future__ import annotations

import pickle
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import Trial, TrialState

SamplerFactory = Callable[["int | None"], BaseSampler]

OPERATIONS = ("conv", "pool", "skip")
ARCHITECTURES = 3 + 9  # of `small_objective`: one or two layers with three operations each


def small_objective(trial: Trial) -> float:
    """An objective with a conditional parameter and 12 architectures; the best value is 4."""
    layers = trial.suggest_int("layers", 1, 2)
    chosen = [trial.suggest_categorical(f"layer{i}", OPERATIONS) for i in range(layers)]
    return float(sum(OPERATIONS.index(operation) for operation in chosen))


def large_objective(trial: Trial) -> float:
    """An objective with 4**8 architectures; the best value is 24."""
    return float(sum(trial.suggest_categorical(f"edge{i}", (0, 1, 2, 3)) for i in range(8)))


class CountingStorage(InMemoryStorage):
    """A storage in memory that counts the writes of attributes, which samplers are sparing with."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: Counter[str] = Counter()

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.writes["trial"] += 1
        super().set_trial_system_attr(trial_id, key, value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.writes["trial"] += 1
        super().set_trial_user_attr(trial_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self.writes["study"] += 1
        super().set_study_system_attr(study_id, key, value)


def params_of(study: Study) -> list[dict[str, Any]]:
    """Parameters of all trials, by number."""
    return [trial.params for trial in study.trials]


class SamplerPromises:
    """Promises about seeds, resumption, duplicates, cost and the ways a study can be driven."""

    @pytest.fixture
    def make_sampler(self) -> SamplerFactory:
        """A function from a seed to a fresh sampler."""
        raise NotImplementedError

    @pytest.fixture
    def make_study(self, make_sampler: SamplerFactory) -> Iterator[Callable[..., Study]]:
        def make(seed: int | None = 0, **arguments: Any) -> Study:
            arguments = {"direction": "maximize", "sampler": make_sampler(seed), **arguments}
            return optuna.create_study(**arguments)

        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        yield make
        optuna.logging.set_verbosity(verbosity)

    # --- seeds and state ---------------------------------------------------------------------

    def test_same_seed_same_trials(self, make_study: Callable[..., Study]) -> None:
        runs = []
        for seed in (0, 0, 1):
            study = make_study(seed)
            study.optimize(large_objective, n_trials=40)
            runs.append(params_of(study))
        assert runs[0] == runs[1]
        assert runs[0] != runs[2]

    def test_state_lives_in_the_storage(
        self, make_study: Callable[..., Study], make_sampler: SamplerFactory
    ) -> None:
        whole = make_study(0)
        whole.optimize(large_objective, n_trials=60)
        resumed = make_study(0)
        for _ in range(3):
            resumed.optimize(large_objective, n_trials=20)
            resumed.sampler = make_sampler(0)
        assert params_of(resumed) == params_of(whole)

    def test_workers_with_one_seed_differ(
        self, make_study: Callable[..., Study], make_sampler: SamplerFactory
    ) -> None:
        study = make_study(0)
        storage = study._storage
        workers = [
            optuna.load_study(study_name=study.study_name, storage=storage, sampler=make_sampler(0))
            for _ in range(2)
        ]
        for _ in range(20):
            for trial in [worker.ask() for worker in workers]:
                study.tell(trial, large_objective(trial))
        params = params_of(study)
        assert all(a != b for a, b in zip(params[::2], params[1::2], strict=True))

    def test_pickled_sampler_goes_on(self, make_study: Callable[..., Study]) -> None:
        study = make_study(0)
        study.optimize(large_objective, n_trials=25)
        study.sampler = pickle.loads(pickle.dumps(study.sampler))
        study.optimize(large_objective, n_trials=10)
        whole = make_study(0)
        whole.optimize(large_objective, n_trials=35)
        assert params_of(study) == params_of(whole)

    def test_at_most_one_extra_write_a_trial(self, make_study: Callable[..., Study]) -> None:
        storage = CountingStorage()
        study = make_study(0, storage=storage)
        study.optimize(large_objective, n_trials=50)
        assert storage.writes["trial"] <= 50
        assert storage.writes["study"] <= 5

    # --- duplicates --------------------------------------------------------------------------

    def test_failed_architectures_are_not_drawn_again(
        self, make_study: Callable[..., Study]
    ) -> None:
        study = make_study(0)
        for params in ({"edge0": 3}, {"edge0": 2}):
            study.enqueue_trial({**{f"edge{i}": 3 for i in range(8)}, **params})

        def objective(trial: Trial) -> float:
            value = large_objective(trial)
            if value > 20:
                raise RuntimeError("out of memory")
            return value

        study.optimize(objective, n_trials=150, catch=(RuntimeError,))
        failed = [t.params for t in study.trials if t.state == TrialState.FAIL]
        assert len(failed) == len({tuple(params.items()) for params in failed})

    def test_running_trials_are_not_proposed_again(self, make_study: Callable[..., Study]) -> None:
        study = make_study(0)
        study.optimize(large_objective, n_trials=40)
        trials = [study.ask() for _ in range(30)]
        for trial in trials:
            large_objective(trial)
        proposed = {tuple(trial.params.items()) for trial in study.trials}
        assert len(proposed) == 70

    def test_exhausted_space_does_not_spin(self, make_study: Callable[..., Study]) -> None:
        study = make_study(0)
        study.optimize(small_objective, n_trials=5 * ARCHITECTURES)
        assert len(study.trials) == 5 * ARCHITECTURES
        assert study.best_value == 4
        assert all(trial.state == TrialState.COMPLETE for trial in study.trials)

    # --- the ways a study can be driven ------------------------------------------------------

    def test_enqueued_and_added_trials(self, make_study: Callable[..., Study]) -> None:
        study = make_study(0)
        for _ in range(3):
            study.enqueue_trial({"layers": 2, "layer0": "skip"})  # the rest is sampled
        study.add_trial(
            optuna.create_trial(
                params={"layers": 1, "layer0": "conv"},
                distributions={
                    "layers": optuna.distributions.IntDistribution(1, 2),
                    "layer0": optuna.distributions.CategoricalDistribution(OPERATIONS),
                },
                value=0.0,
            )
        )
        study.optimize(small_objective, n_trials=30)
        assert all(params["layer0"] == "skip" for params in params_of(study)[:3])
        assert len(study.trials) == 31

    def test_failures_pruning_and_nan(self, make_study: Callable[..., Study]) -> None:
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

    def test_hyperband_brackets(self, make_study: Callable[..., Study]) -> None:
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

    @pytest.mark.parametrize("directions", [("maximize",), ("maximize", "minimize")])
    def test_constraints(self, make_study: Callable[..., Study], directions: Sequence[str]) -> None:
        study = make_study(0, direction=None, directions=directions)

        def objective(trial: Trial) -> float | tuple[float, float]:
            value = large_objective(trial)
            trial.set_constraint("too large", value - 12)
            return value if len(directions) == 1 else (value, -float(trial.params["edge0"]))

        study.optimize(objective, n_trials=80)
        assert all(trial.values[0] <= 12 for trial in study.best_trials)

    def test_threads(self, make_study: Callable[..., Study]) -> None:
        study = make_study(0)
        together = threading.Barrier(4)  # four trials run at the same time, or this times out

        def objective(trial: Trial) -> float:
            together.wait(timeout=60)
            return large_objective(trial)

        study.optimize(objective, n_trials=80, n_jobs=4)
        assert [trial.number for trial in study.trials] == list(range(80))
        assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
