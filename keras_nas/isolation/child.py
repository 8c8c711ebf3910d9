"""The worker process: `main` in a fresh interpreter, directed through its pipes.

It is a fresh interpreter rather than a `multiprocessing` process, so that a user's script needs no
``if __name__ == "__main__"`` and a notebook works too. It ends when its standard input ends, which
is when its director closes it or dies in whatever way. (Linux's PR_SET_PDEATHSIG would strike also
when only the thread that started it ends, and a search with several jobs has such threads.)
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import queue
import signal
import sys
import threading
from typing import Any, BinaryIO

from keras_nas.isolation.channel import read_frame, write_frame
from keras_nas.isolation.errors import describe


class PipeChannel:
    """A job's line to the director in another process."""

    def __init__(self, stream: BinaryIO, lock: threading.Lock) -> None:
        self._stream = stream
        self._lock = lock
        self.stopped: str | None = None

    def send(self, message: Any) -> None:
        """Write a message; the director may answer with an order to stop."""
        self.put("message", message)

    def put(self, kind: str, payload: Any) -> None:
        """Write a frame of a kind: message, result or error."""
        write_frame(self._stream, pickle.dumps((kind, payload)), self._lock)


def main() -> None:
    """Run jobs until the standard input ends."""
    inbox = os.fdopen(os.dup(0), "rb")
    outbox = os.fdopen(os.dup(1), "wb")
    # What jobs print must not end up between the frames.
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the director to act on
    channel = PipeChannel(outbox, threading.Lock())
    jobs: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(inbox, jobs, channel), daemon=True).start()
    while True:
        kind, payload = jobs.get()
        channel.stopped = None  # an order that came too late for the job before
        _run(kind, payload, channel)


def _listen(
    inbox: BinaryIO, jobs: queue.SimpleQueue[tuple[str, bytes]], channel: PipeChannel
) -> None:
    while True:
        frame = read_frame(inbox)
        if frame is None:
            # Nobody is left to work for. A job in the main thread may be deep in native code, where
            # no exception would reach it.
            os._exit(0)
        kind, payload = pickle.loads(frame)
        if kind == "path":
            sys.path[:] = payload
        elif kind == "stop":
            channel.stopped = payload
        else:
            jobs.put((kind, payload))


def _run(kind: str, payload: bytes, channel: PipeChannel) -> None:
    """Run one job; of a child's setup, only a failure is told, and ends the child."""
    try:
        if kind == "job":
            channel.put("started", None)
        job, args = pickle.loads(payload)
        result = job(channel, *args)
        del job, args
        if kind == "job":
            channel.put("result", result)
    except BaseException as error:  # SystemExit and the like too: the director is to know
        channel.put("error" if kind == "job" else "broken", describe(error))
