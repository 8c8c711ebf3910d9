"""What a job and its director say to each other, and how it travels through a pipe."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

_LENGTH = struct.Struct("!Q")


class Channel(Protocol):
    """A job's line to its director; every job takes it as first argument."""

    def send(self, message: Any) -> None:
        """Report something, for instance the metrics of an epoch."""

    @property
    def stopped(self) -> str | None:
        """Why the job should stop, or None; a job asks when stopping is convenient."""


class LocalChannel:
    """The line of a job that runs in the director's own process."""

    def __init__(self, on_message: Callable[[Any], str | None] | None = None) -> None:
        self._on_message = on_message
        self.stopped: str | None = None

    def send(self, message: Any) -> None:
        """Hand the message over at once; an answer is a reason to stop."""
        if self._on_message is not None:
            self.stopped = self._on_message(message) or self.stopped


def write_frame(stream: BinaryIO, frame: bytes, lock: threading.Lock) -> None:
    """Write one length-prefixed frame whole."""
    with lock:
        stream.write(_LENGTH.pack(len(frame)))
        stream.write(frame)
        stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """Read one frame; None at the end of the stream, also where it ends within a frame."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    frame = stream.read(length)
    return frame if len(frame) == length else None
