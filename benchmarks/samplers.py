"""This project's samplers beside Optuna's and other libraries', on tables and synthetic tasks.

    python benchmarks/samplers.py --data DIR --runs DIR --seeds 100 --slow-seeds 20 --out report.md

DIR of --data holds ``nasbench201/nasbench201.npz`` and ``nasbench_macro/nasbench_macro.npz``; the
conditional tasks (``--tasks depth nested``) need no data. Each run is kept as a line in the folder
--runs: a command that was interrupted, or is repeated with more seeds or samplers, goes on where it
was, and the report shows all that is there (with ``--seeds 0 --slow-seeds 0`` it only reports).
Delete a sampler's files after it has changed.

Peers that are not installed are named and left out: ``pip install syne-tune pyglove scipy torch``.
Set ``OMP_NUM_THREADS=1``, for threads only cost time here.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import warnings
from pathlib import Path

import optuna
from contest import conditional, report, tables
from contest.contenders import Contender, ours, peers
from contest.runs import Store, complete
from contest.task import Task
from environment import environment, write

FULL = {"trials": 300, "seeds": 100, "slow_seeds": 20}
QUICK = {"trials": 50, "seeds": 3, "slow_seeds": 1}
QUICK_TASKS = ("nb201-noise", "nb201-edgetpu", "depth")


def all_tasks(data: Path | None) -> dict[str, Task]:
    return {
        **tables.nas_bench_201_tasks(data),
        **tables.nas_bench_macro_tasks(data),
        **conditional.TASKS,
    }


def all_contenders() -> dict[str, Contender]:
    return {**ours(), **peers()}


def work(arguments: argparse.Namespace, task: str, contender: str) -> None:
    """One task and contender; tasks are looked up here because processes can't be sent them."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")  # of peers: experimental features, deprecations
    chosen = all_contenders()[contender]
    seeds = arguments.slow_seeds if chosen.slow else arguments.seeds
    complete(
        all_tasks(arguments.data)[task], chosen, Store(arguments.runs), seeds, arguments.trials
    )


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the tables")
    parser.add_argument("--runs", type=Path, help="folder of the runs; without it nothing is kept")
    parser.add_argument("--tasks", nargs="+", help=f"of {', '.join(all_tasks(None))}")
    parser.add_argument("--samplers", nargs="+", help=f"of {', '.join(all_contenders())}")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--slow-seeds", type=int, help="of TPE, GP and the predictor")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--quick", action="store_true", help="a few tasks, seeds and trials")
    parser.add_argument("--out", help="write the report (.md) or the numbers (.json) here")
    arguments = parser.parse_args(argv)
    for name, value in (QUICK if arguments.quick else FULL).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    if arguments.tasks is None:
        tasks = QUICK_TASKS if arguments.quick else all_tasks(None)
        known = conditional.TASKS if arguments.data is None else all_tasks(None)
        arguments.tasks = [task for task in tasks if task in known]
    arguments.samplers = arguments.samplers or list(all_contenders())
    for given, all_names in (
        (arguments.tasks, [*all_tasks(None)]),
        (arguments.samplers, [*all_contenders()]),
    ):
        unknown = [name for name in given if name not in all_names]
        if unknown:
            parser.error(f"unknown {unknown[0]!r}; known are {', '.join(all_names)}")
    return arguments


def main(argv: list[str] | None = None) -> None:
    arguments = parse(argv)
    tasks = [all_tasks(arguments.data)[name] for name in arguments.tasks]
    contenders = [all_contenders()[name] for name in arguments.samplers]
    notes = [
        f"{c.title} needs {c.missing}, which is not installed." for c in contenders if c.missing
    ]
    print("\n".join(notes), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        arguments.runs = arguments.runs or Path(scratch)
        cells = [
            (arguments, task.name, contender.name)
            for task in tasks
            for contender in contenders
            if contender.takes(task) and contender.missing is None
        ]
        if arguments.jobs > 1:
            context = multiprocessing.get_context("spawn")
            with context.Pool(arguments.jobs, maxtasksperchild=1) as pool:
                pool.starmap(work, cells, chunksize=1)
        else:
            for cell in cells:
                work(*cell)
        store = Store(arguments.runs)
        results = report.summaries(tasks, contenders, store, arguments.trials)
        made_on = report.environments(tasks, contenders, store)
    titles = {contender.name: contender.title for contender in contenders}
    sections = [report.section(t, titles, results[t.name]) for t in tasks if t.name in results]
    text = (
        "Mean ± standard error over seeds, after so many evaluations. Duplicates count as "
        "evaluations. ms: processor time of a sampler a trial, mean of three searches that share "
        "nothing with others. Peers have their defaults.\n\n" + "\n\n".join([*notes, *sections])
    )
    surroundings = {"command": environment()["command"], **made_on}
    write(arguments.out, "Samplers", text, {"environment": surroundings, "results": results})


if __name__ == "__main__":
    main()
