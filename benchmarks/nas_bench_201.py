"""Regret on NAS-Bench-201 beside Optuna's own samplers.

The oracle is the recorded mean test accuracy of each of the 15,625 cells on CIFAR-10, and the
regret is how many percentage points the best cell found so far is below the table's optimum. All
samplers ask for the same six categorical parameters; one of ours also knows the declared space, by
which it takes cells equal in function for one.

    python benchmarks/nas_bench_201.py --data nasbench201.npz --seeds 100

The table (Dong & Yang 2020, https://arxiv.org/abs/2001.00326) holds ``ops``, 15625 x 6 with the
edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3 and the operations in the order of `OPERATIONS`, and
``test_acc_cifar10`` in percent.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import optuna
from environment import environment, table, write
from numpy.typing import NDArray
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

from optuna_nas.graph import ArchitectureGraph
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.space import Genotype, SearchSpace
from optuna_nas.spaces import nas_bench_201

# The orders of the table ...
OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
EDGES = ("0->1", "0->2", "0->3", "1->2", "1->3", "2->3")
# ... and of the declared space: Optuna wants the choices of one name in one order.
CHOICES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
ORDER = ("0->1", "0->2", "1->2", "0->3", "1->3", "2->3")
CHECKPOINTS = (50, 100, 150, 200, 300)


def share_graphs(space: SearchSpace) -> SearchSpace:
    """Keep the graph of every cell, for all seeds.

    A user's search builds some hundred graphs; here the same ones would be built a hundred times.
    """
    graphs: dict[Genotype, ArchitectureGraph] = {}
    build = space.graph

    def graph(genotype: Genotype) -> ArchitectureGraph:
        if genotype not in graphs:
            graphs[genotype] = build(genotype)
        return graphs[genotype]

    space.graph = graph  # type: ignore[method-assign]
    return space


def samplers(space: SearchSpace) -> dict[str, tuple[Callable[[int], BaseSampler], bool]]:
    """Name -> (a sampler of a seed, whether it is one of Optuna's slow ones)."""
    return {
        "ours, with space": (
            lambda seed: RegularizedEvolutionSampler(seed=seed, space=space),
            False,
        ),
        "ours, with space, 30 random": (
            lambda seed: RegularizedEvolutionSampler(seed=seed, space=space, n_startup_trials=30),
            False,
        ),
        "ours, no space": (lambda seed: RegularizedEvolutionSampler(seed=seed), False),
        "ours, as published (30/10, duplicates)": (
            lambda seed: RegularizedEvolutionSampler(
                seed=seed, n_startup_trials=30, deduplicate=False
            ),
            False,
        ),
        "Optuna Random": (lambda seed: RandomSampler(seed=seed), False),
        "Optuna NSGA-II": (lambda seed: NSGAIISampler(seed=seed), False),
        "Optuna TPE": (lambda seed: TPESampler(seed=seed), True),
    }


def run(
    sampler: BaseSampler,
    accuracy: dict[tuple[str, ...], float],
    noise: dict[tuple[str, ...], float],
    trials: int,
) -> tuple[NDArray[np.float64], int]:
    """Accuracy of the incumbent after each trial, shape (trials,), and how many cells differ.

    The incumbent is the best by the observed value; what counts is its true accuracy.
    """
    cells = []

    def objective(trial: optuna.Trial) -> float:
        cell = tuple(trial.suggest_categorical(f"cell/{edge}", CHOICES) for edge in ORDER)
        cells.append(cell)
        return accuracy[cell] + noise.get(cell, 0.0)

    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=trials)
    observed = np.array([accuracy[cell] + noise.get(cell, 0.0) for cell in cells])
    best = [int(np.argmax(observed[: n + 1])) for n in range(trials)]
    return np.array([accuracy[cells[index]] for index in best]), len(set(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="nasbench201.npz")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--tpe-seeds", type=int, help="fewer seeds for the slower TPE")
    parser.add_argument("--noise", type=float, default=0.0, help="SD of a fixed error of each cell")
    parser.add_argument("--out", help="write the report (.md) or the numbers (.json) here")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    data = np.load(arguments.data, allow_pickle=False)
    position = [EDGES.index(edge) for edge in ORDER]
    keys = [tuple(OPERATIONS[row[i]] for i in position) for row in data["ops"]]
    values = data["test_acc_cifar10"].astype(float)
    accuracy = dict(zip(keys, values.tolist(), strict=True))
    optimum = float(values.max())
    # One cell a stage has the same classes of equal cells as five, and smaller graphs.
    space = share_graphs(nas_bench_201(cells=1, channels=4))

    rows, results = [], {}
    for name, (make, slow) in samplers(space).items():
        seeds = arguments.seeds if not slow else arguments.tpe_seeds or arguments.seeds
        start = time.process_time()
        runs, distinct = [], []
        for seed in range(seeds):
            errors = np.random.default_rng([seed, 201]).normal(0, arguments.noise, len(keys))
            noise = dict(zip(keys, errors.tolist(), strict=True)) if arguments.noise else {}
            incumbent, different = run(make(seed), accuracy, noise, max(CHECKPOINTS))
            runs.append(optimum - incumbent)
            distinct.append(different)
        seconds = (time.process_time() - start) / seeds
        regret = np.stack(runs)[:, np.array(CHECKPOINTS) - 1]  # (seeds, checkpoints)
        mean, spread = regret.mean(axis=0), regret.std(axis=0)
        error = spread / np.sqrt(seeds)
        results[name] = {
            "seeds": seeds,
            "mean": mean.tolist(),
            "standard_error": error.tolist(),
            "sd": spread.tolist(),
            "found_optimum": float((regret[:, -1] == 0).mean()),
            "distinct": float(np.mean(distinct)),
            "cpu_seconds": seconds,
        }
        rows.append(
            [name, str(seeds)]
            + [f"{m:.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True)]
            + [f"{np.mean(distinct):.0f}", f"{100 * (regret[:, -1] == 0).mean():.0f} %"]
        )
        print(" ".join(rows[-1]), flush=True)
    header = ["sampler", "seeds", *map(str, CHECKPOINTS), "distinct of 300", "found the optimum"]
    text = (
        "Mean regret ± standard error, percentage points of CIFAR-10 test accuracy below the "
        f"optimum of {optimum:.3f}, after so many evaluations"
        + (f", with a fixed N(0, {arguments.noise}²) error of each cell" * bool(arguments.noise))
        + ".\nOptuna's samplers with their defaults. The oracle is the mean test accuracy, so "
        "these are no figures to put beside papers that search by validation accuracy.\n\n"
        + table(header, rows)
    )
    write(
        arguments.out,
        "NAS-Bench-201",
        text,
        {"environment": environment("optuna", "numpy"), "results": results},
    )


if __name__ == "__main__":
    main()
