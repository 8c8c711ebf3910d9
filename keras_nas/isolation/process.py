"""A started worker process with its pipes."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import IO, Any

import psutil

from keras_nas.isolation.channel import read_frame, write_frame

_START = "from keras_nas.isolation.child import main; main()"


class ChildProcess:
    """A fresh interpreter that runs `keras_nas.isolation.child.main`.

    Args:
        environment: Its environment variables.
        setup: A pickled job and its arguments, run before all others; None for none.

    Attributes:
        frames: What it wrote, frame by frame; None once its stream has ended, so that the process
            is gone or as good as gone.
        jobs: How many jobs it was given.
    """

    def __init__(self, environment: Mapping[str, str], setup: bytes | None) -> None:
        self.jobs = 0
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `end`)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # The module must be found where this process found it.
            env={**environment, "PYTHONPATH": os.pathsep.join(_paths())},
            # Out of reach of the terminal's Ctrl-C, and killed with all it may have started.
            start_new_session=True,
        )
        self._lock = threading.Lock()
        # None: the stream has ended, so the process is gone or as good as gone.
        self.frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._psutil: psutil.Process | None = None
        with contextlib.suppress(psutil.Error):
            self._psutil = psutil.Process(self.process.pid)
        self.put("path", _paths())
        if setup is not None:
            self.put("setup", setup)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            while (frame := read_frame(self.process.stdout)) is not None:  # type: ignore[arg-type]
                self.frames.put(frame)
        self.frames.put(None)

    def put(self, kind: str, payload: Any) -> None:
        """Send a frame; a child that is gone shows at the next read."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            frame = pickle.dumps((kind, payload))
            write_frame(self.process.stdin, frame, self._lock)  # type: ignore[arg-type]

    def resident(self) -> int:
        """Resident memory in bytes; 0 where the process is gone."""
        if self._psutil is not None:
            with contextlib.suppress(psutil.Error):
                return int(self._psutil.memory_info().rss)
        return 0

    def last_words(self) -> tuple[str, str]:
        """Why the process ended, and the last lines it wrote."""
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the worker process closed its pipe", self._tail()
        if code >= 0:
            return f"the worker process ended with exit code {code}", self._tail()
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = "; perhaps the machine ran out of memory" if name == "SIGKILL" else ""
        return f"the worker process was killed by {name}{hint}", self._tail()

    def _tail(self) -> str:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 4000))
        return self._log.read().decode("utf-8", "replace")

    def end(self) -> None:
        """Kill the process with what it may have started, and release its pipes."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:  # pragma: no cover (Windows)
                self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        self._reader.join(timeout=10)
        for stream in (self.process.stdin, self.process.stdout, self._log):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()


def _paths() -> list[str]:
    return [os.path.abspath(entry) for entry in sys.path]
