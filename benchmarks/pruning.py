"""Pruners on recorded learning curves: the same trials, in the same order, with the same budget.

Every data set of curves is a study-like group: its runs are trials. In each repeat they come in a
random order, the same for all pruners, and every report goes through Optuna to the pruner as in a
real study. Two questions are asked:

- *At a budget* of some full trainings, spent to the last epoch: how far is the best completed trial
  from the best run of the data set (regret)?
- *Over the first trials*, all begun whatever they cost: what share of the epochs was spent, and how
  far is the best completed trial from the best of them?

Regret is in units of the data set's scale: the distance of the median final value from the second
best percentile. A run "lost its best" when the trial that would have finished best was pruned.

    python benchmarks/pruning.py --data curves.npz --out benchmarks/results/pruning.md
    python benchmarks/pruning.py --quick          # two repeats, on synthetic curves without --data

The data file holds one array (runs, epochs) a data set, named ``<data set>__<metric>``. Metrics
with "accuracy" in their name are maximised; others are minimised, and capped at three times the
median first value. Runs without a finite last value count as failures at the worst value.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from environment import environment, table, write
from numpy.typing import NDArray
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)

from optuna_nas.pruners import DiscardPruner, LearningCurvePruner

Array = NDArray[np.float64]

# From the number of epochs to a pruner.
PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "none": lambda epochs: NopPruner(),
    "learning curve": lambda epochs: LearningCurvePruner(epochs),
    "median": lambda epochs: MedianPruner(),
    "median, 10 % warm-up": lambda epochs: MedianPruner(n_warmup_steps=round(0.1 * epochs)),
    "percentile 25, 10 % warm-up": lambda epochs: PercentilePruner(
        25.0, n_warmup_steps=round(0.1 * epochs)
    ),
    "successive halving": lambda epochs: SuccessiveHalvingPruner(),
    "successive halving, rf 3, T/27": lambda epochs: SuccessiveHalvingPruner(
        min_resource=max(1, epochs // 27), reduction_factor=3
    ),
    "Hyperband": lambda epochs: HyperbandPruner(min_resource=1, max_resource=epochs),
    "patient median": lambda epochs: PatientPruner(MedianPruner(), patience=3),
    "discard, 10 % of T": lambda epochs: DiscardPruner(max(1, round(0.1 * epochs)), keep=0.1),
    "discard, 1 epoch": lambda epochs: DiscardPruner(1, keep=0.1),
}


@dataclass(frozen=True)
class Task:
    """Recorded runs of one data set.

    Attributes:
        name: Of the data set.
        maximize: Whether larger values are better.
        curves: Shape (runs, epochs); NaN where a run diverged.
    """

    name: str
    maximize: bool
    curves: Array

    @property
    def epochs(self) -> int:
        return int(self.curves.shape[1])

    @property
    def losses(self) -> Array:
        """Final values, smaller is better; what diverged is as bad as the worst. Shape (runs,)."""
        finals = self.curves[:, -1] * (-1.0 if self.maximize else 1.0)
        worst: Array = np.where(np.isfinite(finals), finals, np.nanmax(finals))
        return worst

    @property
    def scale(self) -> float:
        median, best = np.percentile(self.losses, [50, 2])
        return float(median - best)


@dataclass(frozen=True)
class Outcome:
    """One run of one pruner.

    Attributes:
        regret: Of the best completed trial, in units of the task's scale.
        lost_best: Whether the trial that would have been best was pruned.
        trials: Begun.
        epochs: Spent.
        seconds: Spent in the pruner.
        decisions: Asked of the pruner.
    """

    regret: float
    lost_best: bool
    trials: int
    epochs: int
    seconds: float
    decisions: int


def run(
    task: Task, order: NDArray[np.int64], pruner: BasePruner, *, budget: int | None, trials: int
) -> Outcome:
    """Let a pruner see runs in an order.

    Args:
        task: The runs.
        order: Their indices.
        pruner: A fresh one.
        budget: Epochs after which to stop; None: all `trials` are begun.
        trials: Most trials to begin. Without a budget the regret is that to the best of them,
            with one to the best run of the task.
    """
    study = optuna.create_study(
        study_name=task.name,  # Hyperband assigns trials to brackets by the study's name
        direction="maximize" if task.maximize else "minimize",
        pruner=pruner,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    losses = task.losses
    spent, seconds, decisions = 0, 0.0, 0
    pruned: set[int] = set()
    completed: list[int] = []
    begun: list[int] = []
    for index in order[:trials]:
        trial = study.ask()
        begun.append(index)
        state = optuna.trial.TrialState.COMPLETE
        for epoch, value in enumerate(task.curves[index], start=1):
            if budget is not None and spent >= budget:
                break
            spent += 1
            trial.report(float(value), epoch)
            started = time.perf_counter()
            stop = trial.should_prune()
            seconds += time.perf_counter() - started
            decisions += 1
            if stop and epoch < task.epochs:
                state = optuna.trial.TrialState.PRUNED
                pruned.add(index)
                break
        else:
            completed.append(index)
        if index not in pruned and (not completed or completed[-1] != index):
            begun.pop()  # the budget ended in the middle of it
            break
        final = float(task.curves[index, -1])
        if state == optuna.trial.TrialState.COMPLETE and not math.isfinite(final):
            state = optuna.trial.TrialState.FAIL
        value = final if state == optuna.trial.TrialState.COMPLETE else None
        study.tell(trial, value, state=state)
    best = losses.min() if budget is not None else losses[begun].min()
    reached = losses[completed].min() if completed else losses.max()
    winner = begun[int(np.argmin(losses[begun]))]
    return Outcome(
        float(reached - best) / task.scale, winner in pruned, len(begun), spent, seconds, decisions
    )


def tasks_of(path: Path) -> list[Task]:
    """The data sets of a file."""
    tasks = []
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays:
            name, _, metric = key.rpartition("__")
            curves = arrays[key].astype(float)
            maximize = "accuracy" in metric
            if not maximize:
                cap = 3.0 * float(np.nanmedian(curves[:, 0]))
                curves = np.where(np.isfinite(curves), np.minimum(curves, cap), curves)
            tasks.append(Task(name, maximize, curves))
    return tasks


def synthetic_tasks() -> list[Task]:
    """Power laws that cross, and sigmoids with a late take-off, to see that the benchmark runs."""
    rng = np.random.default_rng(0)
    steps = np.arange(1.0, 31.0)
    noise = rng.normal(0.0, 0.004, (2, 600, len(steps)))
    finals = rng.beta(5, 3, (600, 1))
    power = finals - 0.6 * steps ** -rng.uniform(0.3, 1.5, (600, 1)) + noise[0]
    start = rng.uniform(0, 12, (600, 1))
    late = 0.1 + (finals - 0.1) / (1.0 + np.exp(-(steps - start) / 2.0)) + noise[1]
    return [Task("power laws", True, power), Task("late take-off", False, 1.0 - late)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="file of learning curves")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--budget", type=float, default=20.0, help="in full trainings")
    parser.add_argument("--trials", type=int, default=20, help="of the second question")
    parser.add_argument("--pruners", nargs="+", choices=PRUNERS, default=list(PRUNERS))
    parser.add_argument("--tasks", nargs="+", help="names of data sets; all where left out")
    parser.add_argument("--quick", action="store_true", help="two repeats")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    repeats = 2 if arguments.quick else arguments.repeats
    tasks = synthetic_tasks() if arguments.data is None else tasks_of(arguments.data)
    if arguments.tasks is not None:
        tasks = [task for task in tasks if task.name in arguments.tasks]
    outcomes: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for task, repeat in itertools.product(tasks, range(repeats)):
        order = np.random.default_rng(repeat).permutation(len(task.curves))
        for name in arguments.pruners:
            for question, budget, trials in (
                ("budget", round(arguments.budget * task.epochs), len(order)),
                ("first trials", None, arguments.trials),
            ):
                pruner = PRUNERS[name](task.epochs)
                outcome = run(task, order, pruner, budget=budget, trials=trials)
                outcomes[name, task.name, question].append(outcome)
        print(f"{task.name}: repeat {repeat + 1} of {repeats}", end="\r", flush=True)
    text = "\n\n".join(report(arguments.pruners, tasks, outcomes, arguments))
    results = {
        "environment": environment("optuna", "numpy"),
        "repeats": repeats,
        "outcomes": {
            " | ".join(key): [vars(outcome) for outcome in of_key]
            for key, of_key in outcomes.items()
        },
    }
    write(arguments.out, "Pruning on recorded curves", text, results)


def report(
    pruners: list[str],
    tasks: list[Task],
    outcomes: Mapping[tuple[str, str, str], list[Outcome]],
    arguments: argparse.Namespace,
) -> Iterator[str]:
    """The tables: over all tasks, then by task."""

    def column(name: str, question: str, what: str, task: str | None = None) -> Array:
        """Shape (tasks, repeats)."""
        names = [t.name for t in tasks if task in (None, t.name)]
        rows = [[getattr(o, what) for o in outcomes[name, t, question]] for t in names]
        return np.array(rows, dtype=float)

    references = [name for name in ("none", "learning curve") if name in pruners]
    rows = []
    for name in pruners:
        regret = column(name, "budget", "regret")
        differences = []
        for reference in references:
            # The tasks are fixed: the repeats are what varies.
            against = (regret - column(reference, "budget", "regret")).mean(axis=0)
            error = against.std(ddof=1) / math.sqrt(len(against)) if len(against) > 1 else math.nan
            differences.append(f"{against.mean():+.3f} ± {error:.3f}")
        shares = column(name, "first trials", "epochs") / [
            [arguments.trials * task.epochs] for task in tasks
        ]
        spent = column(name, "budget", "seconds").sum()
        rows.append(
            [
                name,
                f"{regret.mean():.3f}",
                *differences,
                f"{100 * column(name, 'budget', 'lost_best').mean():.1f} %",
                f"{column(name, 'budget', 'trials').mean():.0f}",
                f"{shares.mean():.2f}",
                f"{column(name, 'first trials', 'regret').mean():.3f}",
                f"{100 * column(name, 'first trials', 'lost_best').mean():.1f} %",
                f"{1e3 * spent / column(name, 'budget', 'decisions').sum():.2f}",
            ]
        )
    repeats = len(outcomes[pruners[0], tasks[0].name, "budget"])
    yield (
        f"{repeats} repeats on each of {len(tasks)} data sets. Budget: {arguments.budget:g} full "
        f"trainings; first {arguments.trials} trials. Differences with their standard error over "
        f"repeats, paired. Milliseconds are wall time a report."
    )
    yield table(
        [
            "pruner",
            "regret at budget",
            *(f"minus {reference}" for reference in references),
            "lost its best",
            "trials",
            "first: epochs",
            "first: regret",
            "first: lost its best",
            "ms",
        ],
        rows,
    )
    yield "Regret at the budget by data set, and in brackets how often the best was lost:"
    cells = [
        [name]
        + [
            f"{column(name, 'budget', 'regret', task.name).mean():.3f} "
            f"({100 * column(name, 'budget', 'lost_best', task.name).mean():.0f} %)"
            for task in tasks
        ]
        for name in pruners
    ]
    yield table(["pruner", *(task.name for task in tasks)], cells)


if __name__ == "__main__":
    main()
