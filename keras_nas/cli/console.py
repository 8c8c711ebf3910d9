"""What a person sees of a search on the terminal: a bar while it runs, tables when it is over."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType

from optuna.study import Study
from optuna.trial import TrialState
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from keras_nas.finalists import Finalist
from keras_nas.recovery import finished
from keras_nas.results import SearchOutcome
from keras_nas.search import Listener
from optuna_nas._optuna import FAILURE, OBJECTIVES, record_of, violation_of
from optuna_nas.report import LeaderboardRow, pareto_front

PLAIN_EVERY_SECONDS = 10.0


class ProgressBar(Listener):
    """A bar with the best so far and the time left; plain lines now and then where none fits.

    Args:
        console: Where to.
        quiet: Show nothing.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[facts]}"),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None, count="", facts="")
        self._clock: _Clock | None = None
        self._last_line = 0.0

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def stage(self, text: str) -> None:
        """Name what happens now."""
        self._bar.remove_task(self._task)  # `reset` would keep the old total
        self._task = self._bar.add_task(text, total=None, count="", facts="")
        self._line(text)

    def trials(self, study: Study, done: int, total: int, deadline: float | None) -> None:
        """Show how far the trials are."""
        if self._clock is None:
            self._clock = _Clock(done, deadline)
        facts = self._clock.facts(study, done, total)
        self._bar.update(
            self._task,
            description="trials",
            completed=done,
            total=total,
            count=f"{done}/{total}",
            facts=facts,
        )
        self._line(f"{done} of {total} trials, {facts}", rarely=done < total)

    def finalists(self, count: int, share: float) -> None:
        """Show how far the finalists are."""
        self._bar.update(
            self._task,
            description=f"training {count} in full",
            completed=round(100 * share),
            total=100,
            count=f"{share:.0%}",
        )

    def _line(self, text: str, *, rarely: bool = False) -> None:
        if self._quiet or self._console.is_terminal:
            return
        now = time.monotonic()
        if not rarely or now - self._last_line >= PLAIN_EVERY_SECONDS:
            self._last_line = now
            self._console.print(text, highlight=False)


class _Clock:
    """Estimates the time left from the trials of this run."""

    def __init__(self, done: int, deadline: float | None) -> None:
        self._before = done
        self._deadline = deadline
        # From the first trial's end on: its beginning holds the start of the workers.
        self._since: tuple[int, float] | None = None

    def facts(self, study: Study, done: int, total: int) -> str:
        parts = [_best(study)]
        counts = Counter(trial.state for trial in finished(study))
        if counts[TrialState.FAIL]:
            parts.append(f"{counts[TrialState.FAIL]} failed")
        left = self._left(done, total)
        if left is not None:
            parts.append(f"{_duration(left)} left")
        return ", ".join(part for part in parts if part)

    def _left(self, done: int, total: int) -> float | None:
        now = time.monotonic()
        limits = [] if self._deadline is None else [max(0.0, self._deadline - now)]
        if self._since is None and done > self._before:
            self._since = done, now
        if self._since is not None and done > self._since[0]:
            first, then = self._since
            limits.append((now - then) / (done - first) * (total - done))
        return min(limits, default=None)


def show_outcome(console: Console, outcome: SearchOutcome) -> None:
    """Print the front, the best model with its proof, and what was written."""
    console.print(front_table(outcome))
    if outcome.best is not None:
        console.print(delivery_line(outcome.best), highlight=False)
    for text in _troubles(outcome):
        console.print(text, highlight=False)
    console.print("written:", highlight=False)
    width = max(len(str(path)) for path in outcome.files.values())
    for role, path in outcome.files.items():
        console.print(f"  {escape(str(path)):<{width}}  [dim]{role}[/]", highlight=False)


def delivery_line(finalist: Finalist) -> str:
    """What is known of a delivered model, and how well its two files agree."""
    delivery = finalist.delivery
    if delivery is None:
        return f"trial {finalist.trial.number} gave no model: {escape(str(finalist.failure))}"
    proof = delivery.proof
    same = round(proof["agreement"] * proof["images"])
    return (
        f"[bold]trial {finalist.trial.number}[/], trained in full: test accuracy "
        f"[bold]{delivery.test_accuracy:.4f}[/]; the Keras and the ONNX model agree on {same} of "
        f"{proof['images']} test rows, largest difference {proof['max_abs_difference']:.1e}"
    )


def front_table(outcome: SearchOutcome) -> Table:
    """The Pareto front, or the best few of a single objective, as a table."""
    study = outcome.study
    names = study.user_attrs[OBJECTIVES]
    tested = {f.trial.number: f for f in outcome.finalists if f.delivery is not None}
    title = "Pareto front" if len(names) > 1 else f"best by {names[0]}"
    table = Table(title=title, title_justify="left", header_style="bold")
    shown = [*names, *(n for n in ("accuracy", "latency_ms", "params") if n not in names)]
    table.add_column("trial", justify="right")
    for name in shown:
        table.add_column(_HEADS.get(name, name), justify="right")
    table.add_column("test accuracy", justify="right")
    rows = pareto_front(study)
    for row in rows:
        finalist = tested.get(row.trial)
        test = finalist.delivery.test_accuracy if finalist and finalist.delivery else None
        is_best = outcome.best is not None and row.trial == outcome.best.trial.number
        table.add_row(
            str(row.trial),
            *(_cell(name, _value(row, name)) for name in shown),
            "" if test is None else f"{test:.4f}",
            style="bold green" if is_best else None,
        )
    return table


_HEADS = {"accuracy": "validation accuracy", "latency_ms": "latency (ms)"}


def _value(row: LeaderboardRow, name: str) -> float | None:
    value = row.values.get(name)
    return value if value is not None else getattr(row, name, None)


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name in ("params", "macs", "size_bytes", "peak_activation_bytes"):
        return f"{int(value):,}"
    return f"{value:.4f}"


def _troubles(outcome: SearchOutcome) -> list[str]:
    trials = finished(outcome.study)
    texts = []
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    if failed:
        reasons = Counter(str(t.user_attrs.get(FAILURE, "unknown reason")) for t in failed)
        reason, count = reasons.most_common(1)[0]
        texts.append(
            f"[yellow]{len(failed)} of {len(trials)} candidates failed[/], {count} with: "
            f"{escape(reason)}"
        )
    rejected = sum(violation_of(trial) > 0 for trial in trials)
    if rejected:
        texts.append(f"{rejected} of {len(trials)} candidates were over a limit, and not trained")
    for finalist in outcome.finalists:
        if finalist.failure is not None:
            texts.append(
                f"[yellow]finalist {finalist.trial.number} failed:[/] {escape(finalist.failure)}"
            )
        elif finalist.delivery is not None and finalist.delivery.reload_error is not None:
            texts.append(
                f"[yellow]trial {finalist.trial.number}: the .keras file does not load[/] "
                f"({escape(finalist.delivery.reload_error)}); the .onnx file was compared with the "
                "model in memory"
            )
    return texts


def _best(study: Study) -> str:
    names = study.user_attrs.get(OBJECTIVES, [])
    feasible = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if violation_of(trial) <= 0
    ]
    if not feasible or not names:
        return ""
    better = max if study.directions[0].name == "MAXIMIZE" else min
    best = better(feasible, key=lambda trial: trial.values[0])
    text = f"best {names[0]} {_cell(names[0], best.values[0])}"
    latency = record_of(best).latency_ms
    if latency is not None and names[0] != "latency_ms":
        text += f" at {latency:.3f} ms"
    return text


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
