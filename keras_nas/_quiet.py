"""Keeping the chatter of libraries that load off the terminal."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTER = ("I0000", "W0000", "WARNING: All log messages before absl::InitializeLog", "To enable")


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keep TensorFlow's greetings off the terminal; anything else on stderr is passed on.

    Some are printed by its C++ libraries while they load, before any setting could stop them, so
    the file descriptor itself is put aside for the length of the import.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        sys.stderr.flush()
        terminal = os.dup(2)
    except (AttributeError, OSError):  # no stderr at all, as in a windowed program
        yield
        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            aside.seek(0)
            for line in aside.read().decode(errors="replace").splitlines():
                if line and not line.startswith(_CHATTER):
                    print(line, file=sys.stderr)
