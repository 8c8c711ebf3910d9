"""Workers for the threads of a search: as many at once as it has jobs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from keras_nas.isolation.worker import LocalWorker, Worker

AnyWorker = Worker | LocalWorker


class WorkerPool:
    """Lends workers to threads, making one where none is idle.

    Args:
        make: Makes a worker.
    """

    def __init__(self, make: Callable[[], AnyWorker]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._idle: list[AnyWorker] = []
        self._all: list[AnyWorker] = []
        self._interrupted: str | None = None

    def warm(self, count: int) -> None:
        """Start ``count`` workers, so that they are ready when they are needed."""
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(self.worker()).start()

    @contextlib.contextmanager
    def worker(self) -> Iterator[AnyWorker]:
        """Lend a worker for the time of a ``with`` block."""
        with self._lock:
            # The last one used is the likeliest to be warm.
            worker = self._idle.pop() if self._idle else self._make()
            if worker not in self._all:
                self._all.append(worker)
            if self._interrupted is not None:
                worker.interrupt(self._interrupted)
        try:
            yield worker
        finally:
            with self._lock:
                self._idle.append(worker)

    def interrupt(self, reason: str) -> None:
        """End all running jobs with a reason, and take no further ones."""
        with self._lock:
            self._interrupted = reason
            for worker in self._all:
                worker.interrupt(reason)

    def close(self) -> None:
        """End all workers; a later job starts a new one."""
        with self._lock:
            for worker in self._all:
                worker.close()
