"""What pruners cost: CPU milliseconds a report, by the number of trials before it.

A study in memory is filled with finished trials of 100 reports each, half of them pruned on the
way. Then more trials report until they are pruned or complete: the CPU time of `trial.report` and
`trial.should_prune` is taken for each report. The first trial is told apart, for in it a pruner
reads the history.

    python benchmarks/pruner_overhead.py --out benchmarks/results/pruner_overhead.md
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import optuna
from environment import environment, table, write
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from optuna_nas.pruners import DiscardPruner, LearningCurvePruner

REPORTS = 100
TRIALS = 41  # that are measured, the first for itself

PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "none": NopPruner,
    "learning curve": lambda: LearningCurvePruner(REPORTS),
    "median": MedianPruner,
    "successive halving": SuccessiveHalvingPruner,
    "discard, 10 reports": lambda: DiscardPruner(10),
}


def curves(count: int, seed: int) -> list[list[float]]:
    """Noisy power laws that cross; larger is better."""
    rng = np.random.default_rng(seed)
    steps = np.arange(1.0, REPORTS + 1.0)
    finals, rates = rng.beta(5, 3, (count, 1)), rng.uniform(0.3, 1.5, (count, 1))
    noise = rng.normal(0.0, 0.004, (count, REPORTS))
    values: list[list[float]] = (finals - 0.6 * steps**-rates + noise).tolist()
    return values


def filled(count: int) -> optuna.Study:
    """A study of finished trials, every second one pruned after 20 reports."""
    study = optuna.create_study(direction="maximize")
    for number, values in enumerate(curves(count, seed=0)):
        pruned = number % 2 == 1
        reported = values[: REPORTS // 5] if pruned else values
        study.add_trial(
            optuna.create_trial(
                state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
                value=None if pruned else values[-1],
                intermediate_values=dict(enumerate(reported, start=1)),
            )
        )
    return study


def measured(study: optuna.Study, pruner: BasePruner) -> tuple[float, float, float]:
    """CPU milliseconds: of the first trial, then the mean and the 99th percentile of a report."""
    study.pruner = pruner
    cost: list[float] = []
    first = 0.0
    for number, values in enumerate(curves(TRIALS, seed=1)):
        trial = study.ask()
        mine = []
        for step, value in enumerate(values, start=1):
            started = time.process_time()
            trial.report(value, step)
            stop = trial.should_prune()
            mine.append(1e3 * (time.process_time() - started))
            if stop:
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, values[-1])
        if number == 0:
            first = sum(mine)
        else:
            cost += mine
    return first, float(np.mean(cost)), float(np.percentile(cost, 99))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--out")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    results = []
    for count in arguments.trials:
        for name, make in PRUNERS.items():
            first, mean, high = measured(filled(count), make())
            results.append(
                {"trials": count, "pruner": name, "first": first, "mean": mean, "p99": high}
            )
            print(results[-1], file=sys.stderr, flush=True)
    rows = []
    for name in PRUNERS:
        mine = [one for one in results if one["pruner"] == name]
        cells = [f"{one['mean']:.2f} / {one['p99']:.2f} / {one['first']:.0f}" for one in mine]
        rows.append([name, *cells])
    header = ["pruner", *(f"{count:,} trials" for count in arguments.trials)]
    text = (
        f"Milliseconds of CPU time: mean of a report / its 99th percentile / all reports of "
        f"the first trial, in which the history is read. Trials of up to {REPORTS} reports.\n\n"
        + table(header, rows)
    )
    write(
        arguments.out,
        "Pruner overhead",
        text,
        {"environment": environment("optuna", "numpy"), "results": results},
    )


if __name__ == "__main__":
    main()
