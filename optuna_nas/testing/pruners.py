"""What every pruner of this project promises; Optuna itself ships no suite for pruners.

Subclass `PrunerPromises` in a test module and override its fixture::

    class TestMyPruner(PrunerPromises):
        @pytest.fixture
        def make_pruner(self):
            return lambda: MyPruner()

Let pytest explain its asserts: ``pytest.register_assert_rewrite("optuna_nas.testing.pruners")`` in
conftest.py. A pruner that is not meant to stop a hopeless trial among good ones, because it waits
for more or looks at something else, sets ``stops_the_hopeless = False``.

Cost is counted in instructions of Python, on any machine the same: work done inside a compiled
library is not seen.
"""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import Trial, TrialState

from optuna_nas.testing.instructions import instructions_of
from optuna_nas.testing.learning_curves import QUALITIES, STEPS, curve, fill, follow
from optuna_nas.testing.samplers import CountingStorage

PrunerFactory = Callable[[], BasePruner]


class PrunerPromises:
    """Promises about answers, directions, NaN, storages, cost and the ways trials report."""

    stops_the_hopeless = True

    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        """A function that makes a fresh pruner."""
        raise NotImplementedError

    @pytest.fixture
    def make_study(self, make_pruner: PrunerFactory) -> Iterator[Callable[..., Study]]:
        def make(**arguments: Any) -> Study:
            # The name is fixed: Hyperband assigns trials to brackets by it.
            arguments = {"direction": "maximize", "study_name": "promises", **arguments}
            arguments.setdefault("pruner", make_pruner())
            return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), **arguments)

        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        yield make
        optuna.logging.set_verbosity(verbosity)

    @pytest.fixture(params=["memory", "sqlite", "journal"])
    def storage(self, request: pytest.FixtureRequest, tmp_path: Path) -> BaseStorage:
        if request.param == "memory":
            return InMemoryStorage()
        if request.param == "sqlite":
            return RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
        return JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))

    # --- answers -----------------------------------------------------------------------------

    def test_nothing_is_pruned_without_reports(self, make_study: Callable[..., Study]) -> None:
        study = make_study()
        for _ in range(30):
            trial = study.ask()
            assert not trial.should_prune()
            study.tell(trial, 1.0)

    def test_a_hopeless_trial_is_pruned(self, make_study: Callable[..., Study]) -> None:
        if not self.stops_the_hopeless:
            pytest.skip("this pruner is not meant to")
        study = make_study()
        for quality in QUALITIES[:10]:
            follow(study, curve(quality))
        stopped = [follow(study, curve(0.01)) for _ in range(3)]
        assert any(step is not None and step < STEPS for step in stopped)

    def test_every_new_best_is_kept(self, make_study: Callable[..., Study]) -> None:
        study = make_study()
        assert [follow(study, curve(0.3 + 0.02 * i)) for i in range(20)] == [None] * 20

    def test_asked_twice_one_answer(self, make_study: Callable[..., Study]) -> None:
        study = make_study()
        fill(study, 10, STEPS)
        for quality in QUALITIES:
            trial = study.ask()
            for step, value in enumerate(curve(quality), start=1):
                trial.report(value, step)
                answers = [trial.should_prune() for _ in range(3)]
                assert len(set(answers)) == 1
            study.tell(trial, value)

    def test_other_trials_do_not_change_an_answer(self, make_study: Callable[..., Study]) -> None:
        study = make_study()
        fill(study, 10, STEPS)
        trials = [study.ask() for _ in range(8)]
        for trial, quality in zip(trials, (0.3, 0.4, 0.5, 0.6, 0.65, 0.68, 0.69, 0.7), strict=True):
            for step, value in enumerate(curve(quality)[:12], start=1):
                trial.report(value, step)
        before = [trial.should_prune() for trial in trials]
        for _ in range(20):
            follow(study, curve(0.9))
        assert [trial.should_prune() for trial in trials] == before

    def test_same_reports_same_decisions(self, make_study: Callable[..., Study]) -> None:
        runs = []
        for _ in range(2):
            study = make_study()
            runs.append([follow(study, curve(quality)) for quality in QUALITIES])
        assert runs[0] == runs[1]

    def test_directions_are_symmetric(self, make_study: Callable[..., Study]) -> None:
        up, down = make_study(), make_study(direction="minimize")
        for quality in QUALITIES:
            values = curve(quality)
            assert follow(up, values) == follow(down, [-value for value in values])

    # --- values and steps --------------------------------------------------------------------

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("direction", ["maximize", "minimize"])
    def test_numbers_that_are_none(
        self, make_study: Callable[..., Study], bad: float, direction: str
    ) -> None:
        study = make_study(direction=direction)
        sign = 1.0 if direction == "maximize" else -1.0
        for number, quality in enumerate(QUALITIES):
            values = [sign * value for value in curve(quality)]
            # From the start, from the middle, once in the middle, at the end, never.
            places = ((0, 20), (8, 20), (8, 9), (19, 20), (0, 0))[number % 5]
            values[slice(*places)] = [bad] * (places[1] - places[0])
            follow(study, values)
        assert len(study.trials) == len(QUALITIES)

    def test_diverged_trials_do_not_end_good_ones(self, make_study: Callable[..., Study]) -> None:
        study = make_study()
        for number in range(10):
            follow(study, curve(0.3 + 0.01 * number))
            follow(study, [0.1, *[math.nan] * (STEPS - 1)])
        assert follow(study, curve(0.9)) is None

    @pytest.mark.parametrize(
        "steps",
        [
            [0, 1, 2, 3, 4, 5],
            [1, 3, 9, 27, 81, 243],
            [100, 250, 260, 1000, 5000, 5001],
            [10**9 + step for step in range(6)],
        ],
    )
    def test_irregular_steps(self, make_study: Callable[..., Study], steps: Sequence[int]) -> None:
        study = make_study()
        for quality in QUALITIES:
            follow(study, curve(quality, len(steps)), steps)
        assert follow(study, curve(0.9, len(steps)), steps) is None

    def test_steps_in_any_order(self, make_study: Callable[..., Study]) -> None:
        study = make_study()
        fill(study, 10, STEPS)
        trial = study.ask()
        for step in (5, 3, 8, 1, 2, 20, 30):
            trial.report(0.5, step)
            trial.should_prune()

    def test_trials_of_different_length(self, make_study: Callable[..., Study]) -> None:
        study = make_study()
        for number, quality in enumerate(QUALITIES):
            follow(study, curve(quality, 40)[: (5, 20, 40, 1)[number % 4]])
        assert follow(study, curve(0.9, 40)) is None

    # --- the ways a study can be driven ------------------------------------------------------

    def test_storages(self, make_study: Callable[..., Study], storage: BaseStorage) -> None:
        study, reference = make_study(storage=storage), make_study()
        for one in (study, reference):
            fill(one, 6, 8)
        for quality in (0.1, 0.65, 0.2, 0.6):
            values = curve(quality, 8)
            assert follow(study, values) == follow(reference, values)

    def test_state_lives_in_the_storage(
        self, make_study: Callable[..., Study], make_pruner: PrunerFactory
    ) -> None:
        whole, resumed = make_study(), make_study()
        for quality in QUALITIES * 3:
            resumed.pruner = make_pruner()
            assert follow(resumed, curve(quality)) == follow(whole, curve(quality))

    def test_pickled_pruner_goes_on(self, make_study: Callable[..., Study]) -> None:
        whole, pickled = make_study(), make_study()
        for quality in QUALITIES:
            pickled.pruner = pickle.loads(pickle.dumps(pickled.pruner))
            assert follow(pickled, curve(quality)) == follow(whole, curve(quality))

    def test_one_pruner_for_two_studies(
        self, make_study: Callable[..., Study], make_pruner: PrunerFactory
    ) -> None:
        shared = make_pruner()
        storage = InMemoryStorage()
        up = make_study(pruner=shared, storage=storage)
        down = make_study(
            pruner=shared, storage=storage, direction="minimize", study_name="promises "
        )
        alone = make_study()
        for quality in QUALITIES:
            follow(down, curve(1.0 - quality))
            assert follow(up, curve(quality)) == follow(alone, curve(quality))

    def test_a_deleted_study_is_forgotten(
        self, make_study: Callable[..., Study], make_pruner: PrunerFactory
    ) -> None:
        pruner, storage = make_pruner(), InMemoryStorage()
        for _ in range(2):
            study, alone = make_study(pruner=pruner, storage=storage), make_study()
            for quality in QUALITIES:
                assert follow(study, curve(quality)) == follow(alone, curve(quality))
            optuna.delete_study(study_name=study.study_name, storage=storage)

    def test_threads(self, make_study: Callable[..., Study]) -> None:
        study = make_study()
        together = threading.Barrier(4)  # four trials report at the same time, or this times out

        def objective(trial: Trial) -> float:
            together.wait(timeout=60)
            for step, value in enumerate(curve(QUALITIES[trial.number % 16]), start=1):
                trial.report(value, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return value

        study.optimize(objective, n_trials=64, n_jobs=4)
        states = {trial.state for trial in study.trials}
        assert len(study.trials) == 64
        assert states <= {TrialState.COMPLETE, TrialState.PRUNED}

    def test_unfinished_and_failed_trials(self, make_study: Callable[..., Study]) -> None:
        study = make_study()
        for quality in QUALITIES:
            running, failed = study.ask(), study.ask()
            running.report(0.99, 1)
            failed.report(0.99, 1)
            study.tell(failed, state=TrialState.FAIL)
            study.enqueue_trial({"x": 0})
            study.ask()
            follow(study, curve(quality))
        trial = study.ask()
        trial.report(1.0, 1)
        assert not trial.should_prune()

    @pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
    def test_patience_around_it(
        self, make_study: Callable[..., Study], make_pruner: PrunerFactory
    ) -> None:
        pruner = optuna.pruners.PatientPruner(make_pruner(), patience=2)
        study = make_study(pruner=pruner)
        for quality in QUALITIES[:10]:
            follow(study, curve(quality))
        falling = [0.1 - 0.001 * step for step in range(STEPS)]
        assert follow(study, curve(0.01)) is None  # it rises, so patience never ends
        stopped = [follow(study, falling) for _ in range(3)]
        assert any(stopped) or not self.stops_the_hopeless

    # --- cost --------------------------------------------------------------------------------

    def test_cost_does_not_grow_with_the_study(self, make_study: Callable[..., Study]) -> None:
        costs = []
        for trials in (60, 480):
            study = make_study()
            fill(study, trials, STEPS)
            first, second = study.ask(), study.ask()
            most = 0  # not the sum: a pruner may know early, and have it easy from then on
            for step, value in enumerate(curve(0.6), start=1):
                first.report(value, step)
                first.should_prune()  # reads what is new, once
                second.report(value, step)
                most = max(most, instructions_of(second.should_prune))
            costs.append(most)
        assert costs[1] <= 1.2 * costs[0]

    def test_at_most_one_write_a_trial(self, make_study: Callable[..., Study]) -> None:
        storage = CountingStorage()
        study = make_study(storage=storage)
        for quality in QUALITIES * 2:
            before = storage.writes["trial"]
            follow(study, curve(quality, 40))
            assert storage.writes["trial"] - before <= 1
        assert storage.writes["study"] <= 1
