"""The folder of a run: its lock, its study, and where its files go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import optuna
import sqlalchemy.event
import sqlalchemy.exc
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.study import Study

from keras_nas.isolation.errors import describe
from keras_nas.metrics import Metric
from optuna_nas.errors import NASError
from optuna_nas.report.files import write_whole


class StorageError(NASError):
    """A study's storage can't be opened or written."""


class RunFolderError(NASError):
    """The folder of a run can't be used."""


class RunFolder:
    """Where one search keeps its study, its models and its report.

    Args:
        path: The folder; made where it does not exist.
        storage: Optuna URL of a database elsewhere; None: ``study.db`` in the folder.

    Raises:
        RunFolderError: It can't be made.
    """

    def __init__(self, path: Path, *, storage: str | None = None) -> None:
        self.path = path
        self.own_database = storage is None
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(
                f"run folder {path} can't be made: {error.strerror or error}; choose another with "
                "--out",
                str(path),
            ) from error
        self._storage = storage or f"sqlite:///{(path / 'study.db').resolve()}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other searches out; the lock ends with the process, however that ends.

        Raises:
            RunFolderError: Another search holds it, or the folder can't be written.
        """
        lock = filelock.FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise RunFolderError(
                f"another search is at work in {self.path}: wait for it, or choose another --out",
                str(self.path),
            ) from error
        except OSError as error:
            raise RunFolderError(
                f"run folder {self.path} can't be written: {error.strerror or error}; choose "
                "another with --out",
                str(self.path),
            ) from error
        try:
            yield
        finally:
            lock.release()

    def study(self, name: str, *, metrics: tuple[Metric, ...], pruner: BasePruner) -> Study:
        """Open the study, or make it.

        Raises:
            StorageError: The storage can't be opened or written.
        """
        with storage_errors(self._storage):
            study = optuna.create_study(
                study_name=name,
                storage=self._open(),
                pruner=pruner,
                directions=[metric.direction for metric in metrics],
                load_if_exists=True,
            )
            if study.metric_names is None:
                _name_metrics(study, metrics)
            return study

    def existing_study(self, name: str | None = None) -> Study:
        """Open the study of an earlier search.

        Raises:
            StorageError: There is none.
        """
        if self.own_database and not (self.path / "study.db").exists():
            raise StorageError(f"{self.path} holds no study: run keras-nas search first")
        with storage_errors(self._storage):
            storage = self._open()
            names = [study.study_name for study in storage.get_all_studies()]
            if name is None and len(names) == 1:
                (name,) = names
            if name not in names:
                raise StorageError(
                    f"{self._storage} has no study {name!r}; it has {', '.join(names) or 'none'}"
                )
            return optuna.load_study(study_name=name, storage=storage)

    def write_json(self, name: str, content: Any) -> Path:
        """Write a file whole or not at all."""
        path = self.path / name
        write_whole(path, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")
        return path

    def read_json(self, name: str) -> Any:
        """Read what `write_json` wrote; None where there is nothing readable."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _open(self) -> BaseStorage:
        if not self.own_database:
            return get_storage(self._storage)
        storage = RDBStorage(self._storage, engine_kwargs={"connect_args": {"timeout": 60}})
        sqlalchemy.event.listen(storage.engine, "connect", _fewer_waits)
        sqlalchemy.event.listen(storage.engine, "begin", _alone)
        storage.engine.dispose()  # connections made before do not know of it
        return storage


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn what databases raise into one line.

    Raises:
        StorageError: The storage failed.
    """
    try:
        yield
    except (
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.StorageInternalError,
        ImportError,
        OSError,
        RuntimeError,
        ValueError,
    ) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise StorageError(
            f"storage {_hide_password(url)} can't be used: {describe(cause)[0]}; check the URL "
            "(such as sqlite:///study.db), permissions and the free space",
            url,
        ) from error


def _hide_password(url: str) -> str:
    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.SQLAlchemyError:
        return url


def _fewer_waits(connection: Any, _record: Any) -> None:
    # One wait for the disk at a checkpoint instead of one or more a write. What was written
    # survives the end of the process; the last moments may be lost when the machine loses power.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.isolation_level = None  # leaves it to `_alone` to begin transactions


def _alone(connection: Any) -> None:
    # SQLite has no SELECT ... FOR UPDATE, by which Optuna keeps two threads from taking the same
    # enqueued trial. A transaction that holds the write lock from its beginning does.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _name_metrics(study: Study, metrics: tuple[Metric, ...]) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([metric.name for metric in metrics])
