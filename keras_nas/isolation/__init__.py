"""Jobs in processes of their own, so that one bad candidate never ends a search."""

from __future__ import annotations

from keras_nas.isolation.channel import Channel, LocalChannel
from keras_nas.isolation.errors import (
    JobDiedError,
    JobError,
    JobInterruptedError,
    JobLimitError,
    JobRaisedError,
)
from keras_nas.isolation.pool import WorkerPool
from keras_nas.isolation.worker import LocalWorker, Worker

__all__ = [
    "Channel",
    "JobDiedError",
    "JobError",
    "JobInterruptedError",
    "JobLimitError",
    "JobRaisedError",
    "LocalChannel",
    "LocalWorker",
    "Worker",
    "WorkerPool",
]
