"""Which workers of a distributed search still live."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable


def is_worker() -> bool:
    """Whether this process is a worker of Keras Tuner, whose oracle lives with the chief."""
    return _is_distributed() and "chief" not in os.environ["KERASTUNER_TUNER_ID"]


def is_chief() -> bool:
    """Whether this process is the chief that serves the workers."""
    return _is_distributed() and "chief" in os.environ["KERASTUNER_TUNER_ID"]


def _is_distributed() -> bool:
    return "KERASTUNER_ORACLE_IP" in os.environ and "KERASTUNER_TUNER_ID" in os.environ


class Workers:
    """When each worker was last heard of.

    Only workers that gave a sign of life while they had a trial are taken for dead when they fall
    silent in one: with others, training may last any time.

    Args:
        patience: Seconds of silence after which a worker is taken for dead.
        clock: Returns seconds.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._beating: set[str] = set()

    def heard(self, worker: str) -> None:
        """Note that a worker asked or told something."""
        self._heard[worker] = self._clock()

    def beat(self, worker: str) -> None:
        """Note a worker's sign of life in the middle of a trial, and that it gives such signs."""
        self.heard(worker)
        self._beating.add(worker)

    def is_silent(self, worker: str) -> bool:
        """Whether nothing was heard for longer than the patience."""
        return self._clock() - self._heard.setdefault(worker, self._clock()) > self._patience

    def dead(self, busy: Iterable[str]) -> list[str]:
        """Which of the workers that have a trial are taken for dead."""
        return [worker for worker in busy if worker in self._beating and self.is_silent(worker)]
