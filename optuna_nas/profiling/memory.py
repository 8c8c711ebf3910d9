"""Peak memory of a session, from the high-water mark Linux keeps for every process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def _status_bytes(key: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {key}")


def with_peak_memory(action: Callable[[], T]) -> tuple[T, int | None]:
    """Runs ``action`` and tells by how many bytes the resident memory's peak grew over its start.

    The peak belongs to the whole process, so only a process that does nothing else measures what
    ``action`` needs. None where the system does not keep or reset that mark.
    """
    try:
        _RESET.write_text("5")  # proc(5): resets the high-water mark to the current size
        before = _status_bytes("VmRSS")
    except OSError:
        return action(), None
    result = action()
    return result, max(0, _status_bytes("VmHWM") - before)
