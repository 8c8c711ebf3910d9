"""Pruners on recorded learning curves: the same trials, in the same order, with the same budget.

Every task, the curves of one kind of model on one data set, is a study-like group: its runs are
trials. In each repeat they come in a random order, the same for all pruners, and every report goes
through Optuna to the pruner as in a real study. Two questions are asked:

- *At a budget* of some full trainings, spent to the last epoch: how far is the best completed trial
  from the best run of the task (regret)?
- *Over the first trials*, all begun whatever they cost: what share of the epochs was spent, and how
  far is the best completed trial from the best of them?

Regret is in units of the task's scale: the distance of the median final value from the second best
percentile. A run "lost its best" when the trial that would have finished best was pruned.

    python benchmarks/pruning.py --data curves.npz --out benchmarks/results/pruning.md
    python benchmarks/pruning.py          # records its curves first, see `learning_curves.record`
    python benchmarks/pruning.py --quick  # two repeats

A pruner knows no budget, so the first trials are those that the run at the budget begins with. The
data file holds one array (runs, epochs) a task, named ``<task>__<metric>``. Metrics with "accuracy"
in their name are maximised; others are minimised, and capped at three times the median first value.
Runs without a finite last value count as failures at the worst value. With `--runs` outcomes are
kept, one file a pruner, and what is there already is not run again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import optuna
from environment import environment, table, write
from learning_curves.record import QUICK, TASKS, record
from numpy.typing import NDArray
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)
from optuna.trial import TrialState

from optuna_nas.pruners import DiscardPruner, LearningCurvePruner

Array = NDArray[np.float64]

# From the number of epochs to a pruner.
PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "none": lambda epochs: NopPruner(),
    "learning curve": lambda epochs: LearningCurvePruner(epochs),
    "learning curve, below 1 %": lambda epochs: LearningCurvePruner(epochs, min_probability=0.01),
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
    "Wilcoxon": lambda epochs: WilcoxonPruner(),
    "patient median": lambda epochs: PatientPruner(MedianPruner(), patience=3),
    "discard, 10 % of T": lambda epochs: DiscardPruner(max(1, round(0.1 * epochs)), keep=0.1),
    "discard, 1 epoch": lambda epochs: DiscardPruner(1, keep=0.1),
}


@dataclass(frozen=True)
class Task:
    """Recorded runs of one kind of model on one data set.

    Attributes:
        name: Of the array.
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
class Ended:
    """A trial that was completed or pruned."""

    index: int  # of its run
    epochs: int
    pruned: bool


@dataclass(frozen=True)
class Outcome:
    """What came of some trials under one pruner.

    Attributes:
        regret: Of the best completed trial, in units of the task's scale.
        lost_best: Whether the trial that would have been best was pruned.
        trials: Begun.
        epochs: Spent.
    """

    regret: float
    lost_best: bool
    trials: int
    epochs: int


def run(
    task: Task, order: NDArray[np.int64], pruner: BasePruner, *, budget: int, first: int
) -> tuple[Outcome, Outcome]:
    """Let a pruner see runs in an order.

    Args:
        task: The runs.
        order: Their indices.
        pruner: A fresh one.
        budget: Epochs after which to stop.
        first: Trials to look at for themselves; the budget has to suffice for so many full ones.

    Returns:
        What was reached with the budget, with the regret to the best run of the task; and what by
        the first trials, with that to the best of them.
    """
    study = optuna.create_study(
        study_name=task.name,  # Hyperband assigns trials to brackets by the study's name
        direction="maximize" if task.maximize else "minimize",
        pruner=pruner,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    spent = 0
    ended: list[Ended] = []
    for index in order:
        trial = study.ask()
        stop, epochs = False, min(task.epochs, budget - spent)
        for epoch, value in enumerate(task.curves[index, :epochs], start=1):
            trial.report(float(value), epoch)
            stop = bool(trial.should_prune()) and epoch < task.epochs
            spent += 1
            if stop:
                break
        if not stop and epochs < task.epochs:
            break  # the budget ended in the middle of it
        ended.append(Ended(int(index), epoch, stop))
        final = float(task.curves[index, -1])
        if stop:
            study.tell(trial, state=TrialState.PRUNED)
        elif math.isfinite(final):
            study.tell(trial, final)
        else:
            study.tell(trial, state=TrialState.FAIL)

    def outcome(trials: list[Ended], epochs: int, best: float) -> Outcome:
        completed = [trial.index for trial in trials if not trial.pruned]
        reached = task.losses[completed].min() if completed else task.losses.max()
        winner = min(trials, key=lambda trial: task.losses[trial.index])
        regret = float(reached - best) / task.scale
        return Outcome(regret, winner.pruned, len(trials), epochs)

    start = ended[:first]
    return (
        outcome(ended, spent, task.losses.min()),
        outcome(
            start,
            sum(trial.epochs for trial in start),
            task.losses[[trial.index for trial in start]].min(),
        ),
    )


def tasks_of(arrays: Mapping[str, Array]) -> list[Task]:
    """The tasks of a file or a recording."""
    tasks = []
    for name in arrays:
        curves = arrays[name].astype(float)
        maximize = "accuracy" in name
        if not maximize:
            cap = 3.0 * float(np.nanmedian(curves[:, 0]))
            curves = np.where(np.isfinite(curves), np.minimum(curves, cap), curves)
        tasks.append(Task(name, maximize, curves))
    return tasks


Pair = tuple[Outcome, Outcome]


class Runs:
    """Outcomes by pruner, task and repeat; kept in a folder, where one is given."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._outcomes: dict[tuple[str, str, int], Pair] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob("*.jsonl"):
                for line in path.read_text(encoding="utf-8").splitlines():
                    pruner, task, repeat, budget, first = json.loads(line)
                    outcomes = Outcome(**budget), Outcome(**first)
                    self._outcomes[pruner, task, repeat] = outcomes

    def get(self, pruner: str, task: str, repeat: int, run: Callable[[], Pair]) -> Pair:
        """Outcomes that are there, or new ones."""
        key = (pruner, task, repeat)
        if key not in self._outcomes:
            budget, first = self._outcomes[key] = run()
            if self._folder is not None:
                path = self._folder / f"{pruner.replace('/', ' ')}.jsonl"
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([*key, asdict(budget), asdict(first)]) + "\n")
        return self._outcomes[key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="file of learning curves")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--budget", type=float, default=20.0, help="in full trainings")
    parser.add_argument("--trials", type=int, default=20, help="of the second question")
    parser.add_argument("--pruners", nargs="+", choices=PRUNERS, default=list(PRUNERS))
    parser.add_argument("--tasks", nargs="+", help="names of arrays; all where left out")
    parser.add_argument("--quick", action="store_true", help="two repeats")
    parser.add_argument("--runs", type=Path, help="folder of outcomes, to go on with")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    if arguments.budget < arguments.trials:
        parser.error("--budget: expected at least as many full trainings as --trials")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    repeats = 2 if arguments.quick else arguments.repeats
    if arguments.data is None:
        tasks = tasks_of(record([QUICK], runs=60) if arguments.quick else record(TASKS))
    else:
        with np.load(arguments.data, allow_pickle=False) as arrays:
            tasks = tasks_of(arrays)
    if arguments.tasks is not None:
        tasks = [task for task in tasks if task.name in arguments.tasks]
    runs = Runs(arguments.runs)
    outcomes: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for repeat, task in itertools.product(range(repeats), tasks):
        order = np.random.default_rng(repeat).permutation(len(task.curves))
        budget = round(arguments.budget * task.epochs)
        for name in arguments.pruners:
            pruner = PRUNERS[name](task.epochs)
            start = partial(run, task, order, pruner, budget=budget, first=arguments.trials)
            at_budget, of_first = runs.get(name, task.name, repeat, start)
            outcomes[name, task.name, "budget"].append(at_budget)
            outcomes[name, task.name, "first trials"].append(of_first)
        print(f"repeat {repeat + 1} of {repeats}: {task.name}", file=sys.stderr, flush=True)
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
            against = regret - column(reference, "budget", "regret")
            differences.append(
                f"{against.mean():+.3f} ± {standard_error(against.mean(axis=0)):.3f} "
                f"({standard_error(against.mean(axis=1)):.3f})"
            )
        shares = column(name, "first trials", "epochs") / [
            [arguments.trials * task.epochs] for task in tasks
        ]
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
            ]
        )
    repeats = len(outcomes[pruners[0], tasks[0].name, "budget"])
    yield (
        f"{repeats} repeats on each of {len(tasks)} tasks. Budget: {arguments.budget:g} full "
        f"trainings; first {arguments.trials} trials. Differences are paired; ± is their standard "
        f"error over repeats on just these tasks, in brackets that over tasks, for tasks like "
        "them."
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
        ],
        rows,
    )
    yield "Regret at the budget by task, and in brackets how often the best was lost:"
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


def standard_error(values: Array) -> float:
    """Of the mean; NaN of a single value."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


if __name__ == "__main__":
    main()
