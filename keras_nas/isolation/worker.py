"""One worker process as its director sees it: run a job there, whatever the job does."""

from __future__ import annotations

import os
import pickle
import queue
import time
from collections.abc import Callable
from typing import Any

import cloudpickle

from keras_nas.isolation.channel import Channel, LocalChannel
from keras_nas.isolation.errors import (
    JobDiedError,
    JobError,
    JobInterruptedError,
    JobLimitError,
    JobRaisedError,
    describe,
)
from keras_nas.isolation.process import ChildProcess

Job = Callable[..., Any]
OnMessage = Callable[[Any], str | None]

_POLL_SECONDS = 0.2
_START_SECONDS = 300.0  # for imports and the initializer, on a machine that is busy
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GLOG_minloglevel": "3", "PYTHONUNBUFFERED": "1"}


class Worker:
    """Runs jobs one after another in a child process, which is replaced when it gets old or dies.

    Args:
        initializer: Called as a job, once in every new child, before its first job.
        initargs: Its arguments after the channel.
        recycle_jobs: Jobs after which a child is replaced.
        recycle_bytes: Resident memory above which a child is replaced once its job is done.
        threads: Threads for the numerical libraries of the child; None leaves the choice to them.
    """

    def __init__(
        self,
        *,
        initializer: Job | None = None,
        initargs: tuple[Any, ...] = (),
        recycle_jobs: int = 200,
        recycle_bytes: int = 3 * 2**30,
        threads: int | None = None,
    ) -> None:
        self._setup = None if initializer is None else cloudpickle.dumps((initializer, initargs))
        self._recycle_jobs = recycle_jobs
        self._recycle_bytes = recycle_bytes
        self._environment = {**os.environ, **_QUIET, **_thread_variables(threads)}
        self._child: ChildProcess | None = None
        self._interrupted: str | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None while there is none."""
        return None if self._child is None else self._child.process.pid

    def start(self) -> None:
        """Start the child now, so that it is ready when the first job comes; returns at once."""
        if self._child is None or self._child.process.poll() is not None:
            self._discard()
            self._child = ChildProcess(self._environment, self._setup)

    def run(
        self,
        job: Job,
        *args: Any,
        on_message: OnMessage | None = None,
        time_limit: float | None = None,
        memory_limit: int | None = None,
    ) -> Any:
        """Run ``job(channel, *args)`` in the child and return its result.

        Args:
            job: Anything `cloudpickle` can send, functions of scripts and notebooks included.
            args: Sent along; large arrays are better opened by the job itself.
            on_message: Called with what the job sends; the answer, unless None, is why it should
                stop, which the job finds in ``channel.stopped``.
            time_limit: Seconds after which the child is killed.
            memory_limit: Bytes of resident memory above which the child is killed.

        Raises:
            JobError: The job raised, died, passed a limit or was interrupted. The next job gets a
                fresh child where this one is gone.
        """
        if self._interrupted is not None:
            raise JobInterruptedError(self._interrupted)
        payload = cloudpickle.dumps((job, args))
        self.start()
        child = self._child
        assert child is not None
        done = False
        try:
            child.put("job", payload)
            result = self._wait(child, on_message, time_limit, memory_limit)
            done = True
            return result
        except JobRaisedError:
            done = True
            raise
        finally:
            child.jobs += 1
            used_up = child.jobs >= self._recycle_jobs or child.resident() > self._recycle_bytes
            if not done or used_up:
                self._discard()
                if self._setup is not None and self._interrupted is None:
                    self.start()  # gets ready while nobody waits for it

    def interrupt(self, reason: str) -> None:
        """End the running job, from another thread, and take no further ones."""
        self._interrupted = reason

    def close(self) -> None:
        """End the child."""
        self._discard()

    def _wait(
        self,
        child: ChildProcess,
        on_message: OnMessage | None,
        time_limit: float | None,
        memory_limit: int | None,
    ) -> Any:
        limit = _START_SECONDS
        deadline: float | None = time.monotonic() + limit
        while True:
            try:
                frame = child.frames.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                frame = b""
            if self._interrupted is not None:
                raise JobInterruptedError(self._interrupted)
            if frame is None:
                raise JobDiedError(*child.last_words())
            if frame:
                kind, payload = pickle.loads(frame)
                if kind == "started":  # the time a fresh child takes to get ready is not the job's
                    limit = time_limit or 0.0
                    deadline = None if time_limit is None else time.monotonic() + time_limit
                    continue
                if kind == "result":
                    return payload
                if kind == "error":
                    raise JobRaisedError(*payload)
                if kind == "broken":
                    reason, details = payload
                    raise JobDiedError(f"the worker process could not be set up: {reason}", details)
                order = None if on_message is None else on_message(payload)
                if order is not None:
                    child.put("stop", order)
            if deadline is not None and time.monotonic() > deadline:
                raise JobLimitError(f"took longer than the limit of {limit:g} s")
            if memory_limit is not None and (used := child.resident()) > memory_limit:
                raise JobLimitError(
                    f"used {used / 2**20:.0f} MiB of memory, over the limit of "
                    f"{memory_limit / 2**20:.0f} MiB"
                )

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()


class LocalWorker:
    """The same interface without a process: for debugging, and where processes are forbidden.

    Limits of time and memory can't be kept here, and a crash is a crash of everything.
    """

    def __init__(self, *, initializer: Job | None = None, initargs: tuple[Any, ...] = ()) -> None:
        # What an initializer prepares in a child is here already.
        del initializer, initargs
        self._interrupted: str | None = None

    def start(self) -> None:
        """Nothing to start."""

    def run(
        self,
        job: Job,
        *args: Any,
        on_message: OnMessage | None = None,
        time_limit: float | None = None,
        memory_limit: int | None = None,
    ) -> Any:
        """Run the job here; see `Worker.run`."""
        del time_limit, memory_limit

        def forward(message: Any) -> str | None:
            if self._interrupted is not None:
                raise JobInterruptedError(self._interrupted)
            return None if on_message is None else on_message(message)

        channel: Channel = LocalChannel(forward)
        try:
            return job(channel, *args)
        except JobError:
            raise
        except Exception as error:
            raise JobRaisedError(*describe(error)) from error

    def interrupt(self, reason: str) -> None:
        """End the running job at its next message."""
        self._interrupted = reason

    def close(self) -> None:
        """Nothing to end."""


def _thread_variables(threads: int | None) -> dict[str, str]:
    if threads is None:
        return {}
    names = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    )
    return {name: os.environ.get(name, str(threads)) for name in names}
