"""Studies that the tests of several samplers run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import Trial

from optuna_nas.space import Choice, Repeat, SearchSpace, conv, global_average_pooling, identity

# Up to four convolutions of two widths, the skips fall away: 1 + 2 + 4 + 8 + 16 = 31 networks.
CHAIN = SearchSpace(
    "chain",
    input_shape=(8, 8, 1),
    classes=3,
    body=[
        Repeat(
            "block", 1, 4, Choice("op", {"conv": conv(Choice("f", [2, 4]), 3), "skip": identity()})
        ),
        global_average_pooling(),
    ],
)


def size_of(trial: Trial) -> float:
    """Parameters of a network of `CHAIN`."""
    return float(CHAIN.graph(CHAIN.suggest(trial)).params)


def create_study(sampler: BaseSampler | None, **arguments) -> optuna.Study:
    """A study that maximises, unless the arguments say otherwise."""
    return optuna.create_study(**{"direction": "maximize", "sampler": sampler, **arguments})


def mean_best(
    make_sampler: Callable[[int], BaseSampler],
    objective: Callable[[Trial], float],
    *,
    seeds: int,
    n_trials: int,
) -> float:
    """The best value of a study, on average over seeds from 0 on."""
    best = []
    for seed in range(seeds):
        study = create_study(make_sampler(seed))
        study.optimize(objective, n_trials=n_trials)
        best.append(study.best_value)
    return float(np.mean(best))
