"""A whole search as a function: study, trials, finalists, files. What `keras-nas search` calls."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy.exc
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from keras_nas.data import Dataset, load
from keras_nas.finalists import Finalist, best_of, finish, read_finalists
from keras_nas.interrupts import Interrupts, interrupts
from keras_nas.known_objectives import known_objectives
from keras_nas.metrics import metrics_named
from keras_nas.named import check_names, default_space, make_pruner, make_sampler, make_space
from keras_nas.objective import INTERRUPTED, NASObjective
from keras_nas.recovery import finished, recover, retry, was_lost
from keras_nas.results import FINALISTS, SETTINGS, SearchOutcome, write_results, write_settings
from keras_nas.run_folder import RunFolder, RunFolderError
from keras_nas.settings import SearchSettings
from optuna_nas._optuna import FAILURE, violation_of
from optuna_nas.errors import NASError
from optuna_nas.profiling import LatencyTable
from optuna_nas.space import SearchSpace

GIVE_UP_AFTER = 8
"""Failed trials at the start of a run, with no other, after which it is given up."""


COVERED = 0.8
"""Share of a space's operations that a latency table of another space must have."""


class SearchFailedError(NASError):
    """A search that began properly could not go on, or found nothing; its study is intact."""


class Listener:
    """Told how a search goes; does nothing with it. For progress bars to override."""

    def stage(self, text: str) -> None:
        """A stage begins: reading data, opening the study, ..."""

    def trials(self, study: Study, done: int, total: int, deadline: float | None) -> None:
        """Trials begin, or one has finished; ``deadline`` in `time.monotonic` seconds."""

    def finalists(self, count: int, share: float) -> None:
        """So many finalists are trained, and have done a share of their epochs."""


def search(
    settings: SearchSettings | None = None, *, listener: Listener | None = None
) -> SearchOutcome:
    """Run a search, or go on with one.

    The same settings with the same folder continue where the last run ended, however it ended.

    Args:
        settings: What to search.
        listener: Told how it goes.

    Raises:
        NASError: In one line: bad input, another search at work, a storage that can't be written.
        SearchFailedError: It began, and could not go on or found nothing; the study is intact.
    """
    settings = settings or SearchSettings()
    listener = listener or Listener()
    metrics = metrics_named(settings.objectives)
    check_names(settings.sampler, settings.pruner)
    pruner = make_pruner(settings.pruner, epochs=settings.epochs, objectives=len(metrics))
    listener.stage(f"reading {settings.data}")
    data = load(settings.data, target=settings.target, seed=settings.seed)
    space = make_space(settings.space or default_space(data), data)
    name = f"{data.name}-{space.name}"
    folder = RunFolder(Path(settings.out or f"runs/{name}"), storage=settings.storage)
    with folder.locked():
        _check_same_search(folder, name)
        with make_objective(settings, space, data, folder.path) as objective:
            listener.stage("opening the study")
            study = folder.study(name, metrics=metrics, pruner=pruner)
            with _storage_at_work():
                objective.check(study)
                objective.evaluator.pool.warm(settings.parallel)
                recover(study, exclusive=folder.own_database)
                write_settings(folder, settings, data, space, name)
            with interrupts(objective.interrupt) as state:
                with _storage_at_work():
                    _run_trials(settings, study, objective, listener, state)
                return _conclude(settings, study, objective, folder, listener, state)


def _check_same_search(folder: RunFolder, name: str) -> None:
    """Raise where a folder holds another search, whose models this one would write over."""
    about = folder.read_json(SETTINGS)
    earlier = about.get("study") if isinstance(about, dict) else None
    if earlier not in (None, name):
        raise RunFolderError(
            f"{folder.path} holds the search {earlier}, and this is {name}: choose another --out",
            str(folder.path),
        )


def make_objective(
    settings: SearchSettings, space: SearchSpace, data: Dataset, data_folder: Path | None = None
) -> NASObjective:
    """The objective that settings describe."""
    memory, table = settings.trial_memory_mib, settings.latency_table
    known = None if table is None else LatencyTable.load(table)
    if known is not None and known.space != space and known.coverage(space) < COVERED:
        raise NASError(
            f"--latency-table: {table} has few of the operations of {space.name} for {data.name}; "
            "measure one with keras-nas latency-table and the same --space and --data",
            table,
        )
    return NASObjective(
        space,
        data,
        objectives=settings.objectives,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        patience=settings.patience,
        max_latency_ms=settings.max_latency_ms,
        max_params=settings.max_params,
        device=None if settings.device is None else shlex.split(settings.device),
        latency_table=known,
        isolation=settings.isolation,
        threads=settings.threads_each,
        time_limit=settings.trial_timeout,
        memory_limit=None if memory is None else memory * 2**20,
        data_folder=data_folder,
        seed=settings.seed,
    )


def _run_trials(
    settings: SearchSettings,
    study: Study,
    objective: NASObjective,
    listener: Listener,
    state: Interrupts,
) -> None:
    began = len(study.get_trials(deepcopy=False))
    study.sampler = make_sampler(
        settings.sampler,
        objective.space,
        trials=settings.trials,
        seed=settings.seed,
        done=began,
        known_objectives=known_objectives(objective),
    )
    done = len(finished(study))
    deadline = None if settings.timeout is None else time.monotonic() + settings.timeout
    listener.trials(study, done, settings.trials, deadline)

    def after_trial(study: Study, _trial: FrozenTrial) -> None:
        count = len(finished(study))
        if state.asked or count >= settings.trials or _hopeless(study, began):
            study.stop()
        listener.trials(study, count, settings.trials, deadline)

    while done < settings.trials and not state.asked and not _hopeless(study, began):
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            break
        study.optimize(
            objective,
            n_trials=settings.trials - done,
            timeout=left,
            n_jobs=settings.parallel,
            callbacks=[after_trial],
        )
        done = len(finished(study))
    if state.asked:
        for trial in study.get_trials(deepcopy=False)[began:]:
            if was_lost(trial) and trial.user_attrs.get(FAILURE) == INTERRUPTED:
                retry(study, trial)


def _hopeless(study: Study, began: int) -> bool:
    """Whether the trials of this run all failed, and are enough to see that all would."""
    trials = [trial for trial in study.get_trials(deepcopy=False)[began:] if not was_lost(trial)]
    over = [trial for trial in trials if trial.state.is_finished()]
    return len(over) >= GIVE_UP_AFTER and all(t.state == TrialState.FAIL for t in over)


def _conclude(
    settings: SearchSettings,
    study: Study,
    objective: NASObjective,
    folder: RunFolder,
    listener: Listener,
    state: Interrupts,
) -> SearchOutcome:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    found = any(violation_of(trial) <= 0 for trial in complete)
    if not found and not state.asked:
        raise SearchFailedError(_why_nothing(study))
    earlier = read_finalists(folder.read_json(FINALISTS), study, folder.path)
    finalists: list[Finalist] = earlier
    if found and not state.asked:
        listener.stage("training the finalists")
        finalists = finish(
            study,
            objective,
            folder.path / "finalists",
            count=settings.finalists,
            epochs=settings.epochs_in_full,
            budget_seconds=_final_budget(study),
            jobs=settings.parallel,
            earlier=earlier,
            on_progress=listener.finalists,
        )
    best = best_of(finalists)
    listener.stage("writing the report")
    try:
        files = write_results(
            folder,
            study,
            space=objective.space,
            data=objective.data.describe(),
            finalists=finalists,
            best=best,
        )
    except OSError as error:
        raise SearchFailedError(
            f"the results can't be written to {folder.path}: {error.strerror or error}; the study "
            "is intact: make room and run the same command again"
        ) from error
    return SearchOutcome(study, folder.path, objective.space, finalists, best, files, state.asked)


def _final_budget(study: Study) -> float:
    """A quarter of the time the trials took, and enough for something in short searches."""
    durations = (trial.duration for trial in study.get_trials(deepcopy=False))
    seconds = sum(duration.total_seconds() for duration in durations if duration is not None)
    return max(20.0, 0.25 * seconds)


def _why_nothing(study: Study) -> str:
    trials = finished(study)
    reasons = Counter(
        str(trial.user_attrs.get(FAILURE, "unknown"))
        for trial in trials
        if trial.state == TrialState.FAIL
    )
    rejected = sum(violation_of(trial) > 0 for trial in trials)
    parts = []
    if rejected:
        parts.append(
            f"{rejected} were over a limit: raise it, or search a space of smaller networks"
        )
    if reasons:
        reason, count = reasons.most_common(1)[0]
        total = sum(reasons.values())
        parts.append(f"{total} failed, {count} of them with: {reason}")
    return f"none of {len(trials)} candidates gave a model: {'; '.join(parts) or 'no time for one'}"


@contextmanager
def _storage_at_work() -> Iterator[None]:
    """Turn what a storage raises in the middle of a search into one line: a full disk, mostly."""
    try:
        yield
    except (
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.StorageInternalError,
        OSError,
        AssertionError,
    ) as error:
        cause: BaseException = error
        # Optuna asserts that it could write the end of a trial, and hides why it could not.
        while (deeper := cause.__cause__ or cause.__context__) is not None:
            cause = deeper
        if cause is error and isinstance(error, AssertionError):
            raise
        raise SearchFailedError(
            f"the search could not go on: {cause}; finished trials are kept: make room or mend the "
            "storage, and run the same command again"
        ) from error
