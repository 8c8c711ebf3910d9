"""A bar for the epochs of a supernet's training."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class EpochBar:
    """Epochs done, the figures of the last one and the time left, on a terminal's error stream.

    Args:
        epochs: Of all the training.
        done: Before it goes on.
        shown: Whether there is a bar.
    """

    def __init__(self, epochs: int, done: int, *, shown: bool) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("supernet"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total} epochs"),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not shown or not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=epochs, completed=done, facts="")

    def __enter__(self) -> EpochBar:
        self._bar.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def epoch(self, metrics: Mapping[str, float | str | bool]) -> None:
        """Show that an epoch is done."""
        named = [(name, metrics.get(name)) for name in ("loss", "val_loss", "val_accuracy")]
        facts = "  ".join(f"{n} {v:.3f}" for n, v in named if isinstance(v, float))
        self._bar.update(self._task, advance=1, facts=facts)
