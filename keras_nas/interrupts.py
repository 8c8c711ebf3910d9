"""Ctrl-C and requests to terminate, turned into an orderly end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class Interrupts:
    """Whether the end was asked for.

    Attributes:
        asked: The signal that asked for it, or None.
    """

    def __init__(self, on_interrupt: Callable[[], None]) -> None:
        self.asked: int | None = None
        self._on_interrupt = on_interrupt

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Begin to end; the second time, end at once."""
        if self.asked is not None:
            raise KeyboardInterrupt
        self.asked = number
        self._on_interrupt()


@contextmanager
def interrupts(on_interrupt: Callable[[], None]) -> Iterator[Interrupts]:
    """Handle SIGINT and SIGTERM within a ``with`` block.

    Args:
        on_interrupt: Called in the main thread at the first of them.
    """
    state = Interrupts(on_interrupt)
    if threading.current_thread() is not threading.main_thread():
        yield state  # only the main thread may handle signals
        return
    before = {
        number: signal.signal(number, state.handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield state
    finally:
        for number, handler in before.items():
            with suppress(TypeError):  # a handler that was not set from Python
                signal.signal(number, handler)
