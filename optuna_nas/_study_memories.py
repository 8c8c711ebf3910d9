"""What samplers and pruners remember of each study they serve."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

from optuna_nas._optuna import storage_of, study_id_of

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

T = TypeVar("T")


class PerStudy(Generic[T]):
    """One memory of each study, kept as long as the study's storage is.

    What is remembered has to follow from the trials in the storage: pickled and copied without its
    memories, it makes them again.

    Attributes:
        lock: To be held by whoever works with a memory; a thread may take it again.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._entries: WeakKeyDictionary[BaseStorage, dict[int, _Entry[T]]] = WeakKeyDictionary()

    def __contains__(self, study: Study) -> bool:
        return study_id_of(study) in self._entries.get(storage_of(study), {})

    def of(self, study: Study, make: Callable[[], T], trials: Sequence[FrozenTrial] = ()) -> T:
        """What is remembered of a study; made where that is nothing yet.

        Args:
            study: The study.
            make: Makes an empty memory.
            trials: All trials of the study, by number. Where they show that the study was deleted
                and another one got its number, the memory is made anew. Without any, that is left
                open.
        """
        of_storage = self._entries.setdefault(storage_of(study), {})
        entry = of_storage.get(study_id_of(study))
        if entry is None or not entry.belongs_to(trials):
            entry = of_storage[study_id_of(study)] = _Entry(make())
        if trials and entry.started is None:
            entry.started = trials[0].datetime_start
        return entry.memory

    def values(self) -> list[T]:
        """All memories."""
        every = [entry for of_storage in self._entries.values() for entry in of_storage.values()]
        return [entry.memory for entry in every]

    def __reduce__(self) -> tuple[type[PerStudy[T]], tuple[()]]:
        return type(self), ()


@dataclass
class _Entry(Generic[T]):
    """A memory, and when the first trial of its study started; None as long as it has not."""

    memory: T
    started: datetime | None = None

    def belongs_to(self, trials: Sequence[FrozenTrial]) -> bool:
        """False if these are trials of another study, made after this one was deleted."""
        return self.started is None or not trials or trials[0].datetime_start == self.started
