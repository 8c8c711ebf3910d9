"""Learning-curve extrapolation beside its rivals, on real curves split into studies.

Every study forecasts some runs of one task at 10, 20, 40 and 60 % of the horizon, knowing 0, 10 or
30 other finished runs. Errors and densities are in task scale, the median minus the 2nd percentile
of the final losses; errors are capped at 10, log densities floored at -10, losses capped at three
times the median first loss. No method has learned anything from other tasks.

    python benchmarks/curves.py --data curves.npz

Domhan's sampler and DeepHyper's, where that is installed, are slow and get fewer runs; further
tables have all methods on just these. With `--kept FOLDER` their forecasts are kept in files there,
and a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from environment import environment, table, write
from learning_curves import deephyper
from learning_curves.data import Task, load
from learning_curves.deephyper import DeepHyper
from learning_curves.domhan import Domhan
from learning_curves.pooled import Pooled
from learning_curves.reliability import reliability
from learning_curves.scores import Scores, score, studies, summary
from learning_curves.slow import Kept, order

from optuna_nas.curves import (
    METHODS,
    ClosedForm,
    CurveModel,
    LastValue,
    Network,
    Parametric,
    Warm,
)

CUTOFFS = (0.1, 0.2, 0.4, 0.6)
Maker = Callable[[Task], CurveModel]


def ends(task: Task) -> tuple[float, float]:
    """The losses that rivals who know [0, 1] only see as 0 and 1.

    The task's typical start is at .1, its best runs are at .9: more than a user would know.
    """
    start = float(np.median(task.losses[:, 0]))
    best = float(np.percentile(task.finals, 2))
    tenth = (start - best) / 8
    return start + tenth, best - tenth


def average(scores: list[Scores]) -> Scores:
    """Every task counts the same."""
    means = {
        field: float(np.nanmean([getattr(s, field) for s in scores])) for field in asdict(scores[0])
    }
    means["cases"] = sum(s.cases for s in scores)
    return Scores(**means)


def compare(
    tasks: list[Task],
    methods: dict[str, tuple[Maker, int]],
    *,
    runs: int,
    number: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Score every method on every suite, cutoff and number of finished peers it can use."""
    rows = []
    for suite in sorted({task.suite for task in tasks}):
        members = [task for task in tasks if task.suite == suite]
        for name, (make, finished) in methods.items():
            for cutoff in CUTOFFS:
                scores = []
                for task in members:
                    rng = np.random.default_rng(seed)
                    groups = studies(task, finished, rng, number=number, runs=runs)
                    scores.append(score(make(task), task, cutoff, groups=groups))
                mean = average(scores)
                rows.append({"suite": suite, "method": name, "cutoff": cutoff, **asdict(mean)})
            print(suite, name, file=sys.stderr, flush=True)
    return rows


def beside(
    tasks: list[Task],
    name: str,
    kept: Kept,
    ours: dict[str, tuple[Maker, int]],
    *,
    runs: int,
    seed: int,
) -> list[dict[str, Any]]:
    """A slow rival and ours on the runs that the rival has forecast at all cutoffs."""
    rows = []
    done = {
        task.name: set.intersection(
            *({f.run for f in kept.of(task, cutoff, seed, runs)} for cutoff in CUTOFFS)
        )
        for task in tasks
    }
    for suite in sorted({task.suite for task in tasks if len(done[task.name]) > 1}):
        members = [task for task in tasks if task.suite == suite and len(done[task.name]) > 1]
        for cutoff in CUTOFFS:
            theirs = []
            for task in members:
                found = kept.of(task, cutoff, seed, runs)
                theirs.append(summary(task, [[f for f in found if f.run in done[task.name]]]))
            row = {"suite": suite, "method": name, "cutoff": cutoff}
            rows.append(row | asdict(average(theirs)))
        for method, (make, finished) in ours.items():
            for cutoff in CUTOFFS:
                scores = []
                for task in members:
                    shuffled = order(task, seed)
                    mine = [run for run in shuffled[:runs] if run in done[task.name]]
                    group = (np.array(mine), shuffled[len(shuffled) - finished :])
                    scores.append(score(make(task), task, cutoff, groups=[group]))
                row = {"suite": suite, "method": method, "cutoff": cutoff}
                rows.append(row | asdict(average(scores)))
    return rows


def report(rows: list[dict[str, Any]]) -> str:
    """One table: suite and method down, cutoffs across."""
    keys = list(dict.fromkeys((row["suite"], row["method"]) for row in rows))
    lines = []
    for suite, method in keys:
        mine = [row for row in rows if (row["suite"], row["method"]) == (suite, method)]
        cells = [
            f"{row['log_likelihood']:.2f} / {row['mae']:.2f} / {row['coverage']:.2f} / "
            f"{row['kendall']:.2f}"
            for row in mine
        ]
        milliseconds = max(row["milliseconds"] for row in mine)
        lines.append([suite, method, *cells, f"{milliseconds:.2f}", str(mine[0]["cases"])])
    return table(["suite", "method", *(f"{c:.0%}" for c in CUTOFFS), "ms", "forecasts"], lines)


def coverage(rows: list[dict[str, Any]]) -> str:
    """One line a method, one column a suite."""
    suites = list(dict.fromkeys(row["suite"] for row in rows))
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        found = (
            [r["coverage"] for r in rows if (r["suite"], r["method"]) == (suite, method)]
            for suite in suites
        )
        lines.append([method, *(f"{np.mean(shares):.3f}" for shares in found)])
    return table(["method", *suites], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="curves.npz")
    parser.add_argument("--runs", type=int, default=40, help="forecast in each study")
    parser.add_argument("--studies", type=int, default=5, help="of each task")
    parser.add_argument("--domhan-runs", type=int, default=17, help="of each task; 0: without")
    parser.add_argument("--deephyper-runs", type=int, default=7, help="of each task; 0: without")
    parser.add_argument("--samples", type=int, default=600, help="of Domhan's sampler")
    parser.add_argument("--kept", type=Path, help="folder for the forecasts of slow rivals")
    parser.add_argument("--only-kept", action="store_true", help="start no slow rival")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the report (.md) or the numbers (.json)")
    arguments = parser.parse_args()
    tasks = load(arguments.data)
    seed = arguments.seed
    ours: dict[str, tuple[Maker, int]] = {
        "last value": (lambda task: LastValue(), 0),
        "parametric families": (lambda task: Parametric(), 0),
        "closed form, cold": (lambda task: ClosedForm(), 0),
        "closed form, 10 finished": (lambda task: Warm(ClosedForm()), 10),
        "closed form, 30 finished": (lambda task: Warm(ClosedForm()), 30),
        "network, cold": (lambda task: Network(), 0),
        "network, 10 finished": (lambda task: Warm(Network()), 10),
        "network, 30 finished": (lambda task: Warm(Network()), 30),
        "both, cold": (lambda task: Pooled(ClosedForm(), Network()), 0),
        "both, 30 finished": (lambda task: Warm(Pooled(ClosedForm(), Network())), 30),
    }
    rows = compare(tasks, ours, runs=arguments.runs, number=arguments.studies, seed=seed)
    parts = [
        "Log density / mean absolute error / coverage of the 90 % interval / Kendall's tau.\n"
        "Errors and tau are those of medians; milliseconds are of the processor, peers learned.",
        report(rows),
    ]
    results: dict[str, Any] = {"all": rows}
    print(*parts, sep="\n\n", file=sys.stderr, flush=True)  # the rest takes longer
    parts += ["## Coverage of the 90 % interval, all cutoffs together", coverage(rows)]
    judged = reliability(tasks, lambda task: METHODS["warm"], seed=seed)
    parts += ["## Reliability of the default where it would prune", judged.text]
    print(judged.text, file=sys.stderr, flush=True)
    results["reliability"] = judged.rows
    slow: dict[str, tuple[Maker, int]] = {
        "Domhan et al., MCMC": (
            lambda task: Domhan(*ends(task), samples=arguments.samples),
            arguments.domhan_runs,
        ),
        "DeepHyper, MCMC": (lambda task: DeepHyper(*ends(task)), arguments.deephyper_runs),
    }
    with TemporaryDirectory() as temporary:
        folder = arguments.kept or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, (make, runs) in slow.items():
            kept = Kept(folder / f"{name.split()[0].strip(',').lower()}.jsonl")
            missing = name.startswith("DeepHyper") and not deephyper.installed()
            if not (arguments.only_kept or missing):
                for _ in kept.complete(tasks, CUTOFFS, make, seed=seed, runs=runs):
                    pass
            few = beside(tasks, name, kept, ours, runs=runs, seed=seed)
            if few:
                parts += [f"## {name}, and the same runs for ours", report(few)]
                results[name] = few
    results["environment"] = environment("numpy", "scipy")
    path = None if arguments.out is None else str(arguments.out)
    write(path, "Learning-curve extrapolation", "\n\n".join(parts), results)


if __name__ == "__main__":
    main()
