"""Memory of a search over many tiny trials: of the process that directs it, and of its worker.

python benchmarks/memory_over_trials.py --trials 200 --out benchmarks/results
"""

from __future__ import annotations

import argparse
from pathlib import Path

import optuna
import psutil

from keras_nas import NASObjective
from keras_nas.data import load
from keras_nas.provenance import environment
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.spaces import tabular_mlp

MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--out", type=Path, help="folder for memory_over_trials.md")
    arguments = parser.parse_args()
    text = report(arguments.trials, arguments.every)
    print(text)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "memory_over_trials.md").write_text(text, encoding="utf-8")


def report(trials: int, every: int) -> str:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    data = load("iris")
    space = tabular_mlp(input_shape=data.input_shape, classes=data.classes)
    director = psutil.Process()
    rows: list[tuple[int, float, float, int]] = []
    children: set[int] = set()

    def note(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        workers = director.children()
        children.update(worker.pid for worker in workers)
        if (trial.number + 1) % every == 0:
            worker = sum(worker.memory_info().rss for worker in workers) / MIB
            rows.append((trial.number + 1, director.memory_info().rss / MIB, worker, len(children)))

    with NASObjective(space, data, epochs=1, reuse=False, latency_seconds=0.05) as objective:
        study = optuna.create_study(
            directions=objective.directions,
            sampler=RegularizedEvolutionSampler(space=space, seed=0),
        )
        study.optimize(objective, n_trials=trials, callbacks=[note])
    complete = len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)))
    first, last = rows[0], rows[-1]
    lines = [
        "# Memory over trials",
        "",
        f"{trials} trials of one epoch on iris, {complete} complete, none reused.",
        "",
        "| trials | director (MiB) | worker (MiB) | worker processes so far |",
        "|---|---|---|---|",
        *(f"| {n} | {a:.0f} | {b:.0f} | {c} |" for n, a, b, c in rows),
        "",
        f"From trial {first[0]} to {last[0]} the director grew by {last[1] - first[1]:.0f} MiB and "
        f"the worker by {last[2] - first[2]:.0f} MiB.",
        "",
    ]
    where = environment()
    lines += [
        f"{where['cpu']}, {where['cores']} cores, {where['os']}, Python {where['python']}, "
        + ", ".join(f"{name} {version}" for name, version in where["versions"].items()),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
