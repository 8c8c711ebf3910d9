"""Threads and processes share one study.

Processes are started by spawning, so that a suite in a script needs ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FixedTrial, Trial, TrialState

from optuna_nas.testing.deduplication import repetitions
from optuna_nas.testing.objectives import deep_objective, large_objective
from optuna_nas.testing.suite import (
    SamplerFactory,
    SamplerSuite,
    StudyFactory,
    common_start,
    params_of,
)

_OBJECTIVES: dict[str, Callable[[Trial | FixedTrial], float]]
_OBJECTIVES = {"flat": large_objective, "conditional": deep_objective}


class ThreadPromises(SamplerSuite):
    """Threads of ``n_jobs`` share one sampler."""

    def test_threads(self, make_study: StudyFactory) -> None:
        """Four threads run 80 trials at the same time, and none is lost."""
        study = make_study(0)
        together = threading.Barrier(4)  # four trials run at the same time, or this times out

        def objective(trial: Trial) -> float:
            together.wait(timeout=60)
            return large_objective(trial)

        study.optimize(objective, n_trials=80, n_jobs=4)
        assert [trial.number for trial in study.trials] == list(range(80))
        assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


class ProcessPromises(SamplerSuite):
    """Processes share a study on disk or on a server, each with its own sampler of one seed.

    Override `storage_url` to test on a server.
    """

    WORKERS = 4
    TRIALS = 12  # each, of each objective
    # Repetitions that may happen: two processes may look at the study before either has stored
    # what it is about to run. On a busy machine with objectives that take no time at all, 3 were
    # seen; a sampler that does not look at all repeats 12 and more.
    MAX_REPETITIONS = 6

    @pytest.fixture
    def storage_url(self, tmp_path: Path) -> str:
        """A URL of a database, or the path of a journal file."""
        return str(tmp_path / "journal.log")

    def test_processes_at_once(self, make_sampler: SamplerFactory, storage_url: str) -> None:
        """Several processes at once lose nothing, and repeat nothing but by rare chance."""
        storage = open_storage(storage_url)
        studies = {}
        for objective in _OBJECTIVES:
            # The first trial tells which parameters there are: until one has finished, nobody
            # knows what the others are about to draw.
            study = optuna.create_study(
                storage=storage, direction="maximize", sampler=make_sampler(0)
            )
            study.optimize(_OBJECTIVES[objective], n_trials=1)
            studies[objective] = study
        names = {objective: study.study_name for objective, study in studies.items()}
        run_processes(self.WORKERS, storage_url, names, make_sampler(0), self.TRIALS)
        for objective, study in studies.items():
            trials = study.trials
            assert [t.number for t in trials] == list(range(1 + self.WORKERS * self.TRIALS))
            assert all(trial.state == TrialState.COMPLETE for trial in trials)
            values = [_OBJECTIVES[objective](FixedTrial(t.params)) for t in trials]
            assert values == [trial.value for trial in trials], "parameters were lost"
            repeated = repetitions(study)
            assert repeated <= self.MAX_REPETITIONS, (
                f"{repeated} of {len(trials)} trials of the {objective} objective are repeated"
            )

    def test_one_process_after_another(
        self, make_sampler: SamplerFactory, storage_url: str
    ) -> None:
        """50 trials in one process and 50 in the next equal 100 in one, exactly."""
        whole = optuna.create_study(direction="maximize", sampler=make_sampler(0))
        whole.optimize(deep_objective, n_trials=100)
        study = optuna.create_study(storage=open_storage(storage_url), direction="maximize")
        names = {"conditional": study.study_name}
        for _ in range(2):
            run_processes(1, storage_url, names, make_sampler(0), 50)
        equal = common_start(params_of(study), params_of(whole))
        assert equal == 100, f"they differ from trial {equal} on"


def open_storage(url: str) -> BaseStorage:
    """The database of a URL, or the journal of a path."""
    if "://" in url:
        return RDBStorage(url)
    return JournalStorage(JournalFileBackend(url))


def run_processes(
    workers: int, url: str, names: Mapping[str, str], sampler: BaseSampler, trials: int
) -> None:
    """Run `trials` of each study in each of `workers` processes at once.

    Args:
        workers: Number of processes.
        url: As for `open_storage`.
        names: Name of an objective -> name of the study of it.
        sampler: Each process and each study gets a copy.
        trials: Trials a process and study.

    Raises:
        RuntimeError: If a process ends with an error, or after five minutes.
    """
    context = multiprocessing.get_context("spawn")
    arguments = (url, dict(names), pickle.dumps(sampler), trials)
    processes = [context.Process(target=_work, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        if process.exitcode is None:
            process.kill()
        if process.exitcode != 0:
            raise RuntimeError(f"a worker ended with exit code {process.exitcode}")


def _work(url: str, names: dict[str, str], sampler: bytes, trials: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(url)
    for objective, name in names.items():
        study = optuna.load_study(study_name=name, storage=storage, sampler=pickle.loads(sampler))
        study.optimize(_OBJECTIVES[objective], n_trials=trials)
