"""Why a job in a worker process gave no result."""

from __future__ import annotations

import re
import traceback

from optuna_nas.errors import NASError

_TRACEBACK_CHARACTERS = 4000
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # Keras writes some of its messages in bold


class JobError(NASError):
    """A job gave no result; the search goes on without it.

    Args:
        reason: Why, in one line.
        details: A traceback or the last lines the process wrote, for those who want to know more.
    """

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details


class JobRaisedError(JobError):
    """The job raised an exception, running out of memory included."""


class JobDiedError(JobError):
    """The process of the job ended: a crash, a kill, or an exit of its own."""


class JobLimitError(JobError):
    """The job passed its limit of time or memory and was killed."""


class JobInterruptedError(JobError):
    """The job was ended because the search is being ended."""


def describe(error: BaseException) -> tuple[str, str]:
    """Return an exception's reason in one line and its traceback, shortened."""
    text = " ".join(_COLOURS.sub("", str(error)).split())
    name = type(error).__name__
    reason = f"{name}: {text}" if text else name
    if len(reason) > 300:
        reason = reason[:297] + "..."
    return reason, "".join(traceback.format_exception(error))[-_TRACEBACK_CHARACTERS:]
