"""How commands end: one line for people, an exit code for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer

BAD_INPUT = 2
FAILED_RUN = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def guarded(run: Callable[[], Any], traceback: bool) -> None:
    """Turn errors into one line and an exit code.

    Args:
        run: What the command does.
        traceback: Let errors through, for those who look for where one came from.
    """
    if traceback or os.environ.get("KERAS_NAS_TRACEBACK", "0") not in ("", "0"):
        run()
        return
    from optuna_nas.errors import NASError

    try:
        run()
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        _leave("interrupted", INTERRUPTED)
    except NASError as error:
        from keras_nas.search import SearchFailedError

        _leave(str(error), FAILED_RUN if isinstance(error, SearchFailedError) else BAD_INPUT)
    except ImportError as error:
        _leave(f"{error}; install everything with: pip install 'optuna-nas[all]'", BAD_INPUT)
    except Exception as error:
        name = type(error).__name__
        _leave(f"{name}: {error} (--traceback shows where it came from)", FAILED_RUN)


def _leave(message: str, code: int) -> NoReturn:
    line = " ".join(message.split())
    print(f"keras-nas: {line}", file=sys.stderr)
    raise typer.Exit(code)


def silence_libraries() -> None:
    """Keep libraries' chatter off the terminal, which belongs to the progress bar."""
    import logging
    import warnings

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("keras_nas").setLevel(logging.ERROR)  # failures are counted on the bar
    warnings.simplefilter("ignore")
