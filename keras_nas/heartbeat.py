"""A worker's signs of life while it trains."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType


class Heartbeat:
    """Calls a function at once and then regularly, on a thread of its own, until the block ends.

    An error ends it quietly: the thread that trains meets the same one when it reports.

    Args:
        beat: What to call.
        seconds: Pause between two calls.
    """

    def __init__(self, beat: Callable[[], object], seconds: float) -> None:
        self._beat = beat
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(self._seconds)

    def _run(self) -> None:
        try:
            self._beat()
            while not self._ended.wait(self._seconds):
                self._beat()
        except Exception:
            return
