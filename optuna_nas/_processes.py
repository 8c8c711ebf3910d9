"""Which process works on a trial, and whether it still lives."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# A start time is computed from the boot time, whose estimate moves with the system clock.
_CLOCK_TOLERANCE = 2.0


@dataclass(frozen=True)
class Owner:
    """A process, named so that another one that got its number later is not taken for it.

    Attributes:
        host: Name of the machine, with its process namespace where there is one: two containers
            may bear one host name and still not see each other's processes.
        pid: Process number on that machine.
        started: Start of the process in seconds since the epoch; None where the system does not
            tell.
    """

    host: str
    pid: int
    started: float | None

    @classmethod
    def current(cls) -> Owner:
        pid = os.getpid()
        return cls(_host(), pid, _started(pid))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Owner:
        return cls(values["host"], values["pid"], values.get("started"))

    def to_dict(self) -> dict[str, Any]:
        return {"host": self.host, "pid": self.pid, "started": self.started}

    def is_gone(self) -> bool:
        """Whether the process surely no longer runs. False where that can't be known."""
        if self.host != _host():
            return False
        if not _exists(self.pid):
            return True
        started = _started(self.pid)
        if started is None or self.started is None:
            return False
        return abs(started - self.started) > _CLOCK_TOLERANCE


def _host() -> str:
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()} {namespace}"


def _exists(pid: int) -> bool:
    if sys.platform == "win32":
        # os.kill(pid, 0) would send Ctrl-C there.
        import ctypes

        query_limited_information, still_active = 0x1000, 259
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(query_limited_information, False, pid)
        if not handle:
            return False
        code = ctypes.c_ulong()
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return not known or code.value == still_active
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and belongs to someone else
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    fields = _stat(pid)
    return fields is not None and fields[0] == "Z"


@cache
def _boot_time() -> float | None:
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) for line in lines if line.startswith("btime")), None)


def _started(pid: int) -> float | None:
    fields = _stat(pid)
    boot = _boot_time()
    if fields is None or boot is None:
        return None
    return boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat from the state on; None where there is no such file."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
