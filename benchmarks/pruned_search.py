"""A real search with and without pruning: seconds and accuracy.

Networks for scikit-learn's digits, drawn at random with their learning rates, are trained by Keras.
All pruners see the same trials in the same order; each search is repeated with other seeds.

    python benchmarks/pruned_search.py --out benchmarks/results/pruned_search.md
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from environment import environment, table, write
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from keras_nas import NASObjective
from optuna_nas import Choice, Float, Repeat, SearchSpace
from optuna_nas.pruners import LearningCurvePruner
from optuna_nas.space import conv, global_average_pooling

SPACE = SearchSpace(
    "digits",
    input_shape=(8, 8, 1),
    classes=10,
    body=[
        conv(filters=Choice("stem", [4, 8, 16])),
        Repeat("stage", 1, 3, conv(kernel=Choice("kernel", [1, 3]))),
        global_average_pooling(),
    ],
    training=[Float("learning_rate", 1e-4, 3e-2, log=True)],
)

# From the number of epochs to a pruner.
PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "none": lambda epochs: NopPruner(),
    "learning curve": LearningCurvePruner,
    "median": lambda epochs: MedianPruner(),
    "successive halving": lambda epochs: SuccessiveHalvingPruner(),
}


def search(name: str, *, trials: int, epochs: int, seed: int) -> dict[str, Any]:
    """One study; its seconds, epochs, pruned trials and best validation accuracy."""
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=seed),
        pruner=PRUNERS[name](epochs),
    )
    started = time.perf_counter()
    with NASObjective(
        SPACE, "digits", objectives=("accuracy",), epochs=epochs, isolation="none", seed=seed
    ) as objective:
        study.optimize(objective, n_trials=trials)
    seconds = time.perf_counter() - started
    return {
        "pruner": name,
        "seed": seed,
        "seconds": seconds,
        "epochs": sum(len(trial.intermediate_values) for trial in study.trials),
        "pruned": sum(trial.state == TrialState.PRUNED for trial in study.trials),
        "accuracy": study.best_value,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The first model that a process trains waits for TensorFlow to start.
    search("none", trials=1, epochs=1, seed=0)
    results = []
    for seed in range(arguments.seeds):
        for name in PRUNERS:
            one = search(name, trials=arguments.trials, epochs=arguments.epochs, seed=seed)
            results.append(one)
            print(one, flush=True)
    rows = []
    for name in PRUNERS:
        mine = [one for one in results if one["pruner"] == name]
        rows.append(
            [name]
            + [f"{np.mean([one[key] for one in mine]):.1f}" for key in ("seconds", "epochs")]
            + [f"{np.mean([one['pruned'] for one in mine]):.1f}"]
            + [" ".join(f"{one['accuracy']:.4f}" for one in mine)]
        )
    text = (
        f"{arguments.trials} trials of {arguments.epochs} epochs, random search, "
        f"{arguments.seeds} seeds; means, and the best validation accuracy of each seed.\n\n"
        + table(["pruner", "seconds", "epochs", "pruned", "best accuracy"], rows)
    )
    surroundings = environment("optuna", "keras", "tensorflow-cpu", "numpy")
    write(
        arguments.out,
        "A search with and without pruning",
        text,
        {"environment": surroundings, "runs": results},
    )


if __name__ == "__main__":
    main()
