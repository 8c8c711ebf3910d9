"""A bar for the epochs of a supernet's training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def epoch_bar(
    epochs: int, done: int, *, shown: bool
) -> Iterator[Callable[[Mapping[str, float | str | bool]], None]]:
    """Epochs done, the figures of the last one and the time left, on a terminal's error stream.

    Args:
        epochs: Of all the training.
        done: Before it goes on.
        shown: Whether there is a bar.

    Yields:
        Shows the figures of an epoch, which say its number.
    """
    console = Console(stderr=True)
    with Progress(
        TextColumn("supernet"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed}/{task.total} epochs"),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not shown or not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("", total=epochs, completed=done, facts="")

        def show(metrics: Mapping[str, float | str | bool]) -> None:
            named = [(name, metrics.get(name)) for name in ("loss", "val_loss", "val_accuracy")]
            facts = "  ".join(f"{n} {v:.3f}" for n, v in named if isinstance(v, float))
            bar.update(task, completed=int(metrics["epoch"]), facts=facts)

        yield show
