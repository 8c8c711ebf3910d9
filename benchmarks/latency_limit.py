"""A search on digits under a limit of the latency, beside one without.

The limit is a percentile of the latencies of random networks of the space. Both searches have the
same sampler, seeds and number of trials; what counts is what they find below the limit.

    python benchmarks/latency_limit.py --out benchmarks/results/latency_limit.md
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import optuna
from environment import environment, table, write
from optuna.trial import TrialState

from keras_nas import NASObjective
from optuna_nas._optuna import record_of
from optuna_nas.profiling import anchor_reference_ms, latency_of_graph
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.search.hypervolume import hypervolume
from optuna_nas.space import SearchSpace
from optuna_nas.spaces import chain_cnn


def latencies(space: SearchSpace, count: int, seed: int) -> list[float]:
    """Latencies in milliseconds of random networks that are not trained."""
    rng, reference = np.random.default_rng(seed), anchor_reference_ms()
    profiles = (
        latency_of_graph(space.graph(space.sample(rng)), anchor_reference_ms=reference)
        for _ in range(count)
    )
    return [float(profile.calibrated_ms or profile.min_ms) for profile in profiles]


def search(
    space: SearchSpace, limit: float | None, *, below: float, trials: int, epochs: int, seed: int
) -> dict[str, Any]:
    """One study: what it trained, and what of its front is below a latency in milliseconds."""
    started = time.perf_counter()
    with NASObjective(
        space, "digits", epochs=epochs, max_latency_ms=limit, reuse=False, seed=seed
    ) as objective:
        study = optuna.create_study(
            directions=objective.directions,
            sampler=RegularizedEvolutionSampler(space=space, seed=seed),
        )
        study.optimize(objective, n_trials=trials)
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    trained = [trial for trial in done if record_of(trial).curve]
    over = [trial for trial in trained if trial.values[1] > below]
    fit = [trial for trial in trained if trial.values[1] <= below]
    losses = np.array([[1 - trial.values[0], trial.values[1] / below] for trial in fit])
    return {
        "limit": limit is not None,
        "seed": seed,
        "seconds": time.perf_counter() - started,
        "complete": len(done),
        "trained": len(trained),
        "trained_over": len(over),
        "epochs_over": sum(len(next(iter(record_of(t).curve.values()))) for t in over),
        "best": max((trial.values[0] for trial in fit), default=0.0),
        "hypervolume": hypervolume(losses, np.ones(2)) if fit else 0.0,
    }


def _row(runs: list[dict[str, Any]], limit: bool) -> list[str]:
    own = [run for run in runs if run["limit"] is limit]

    def mean(key: str) -> float:
        return float(np.mean([run[key] for run in own]))

    def spread(key: str) -> str:
        values = [run[key] for run in own]
        return f"{np.mean(values):.4f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.4f}"

    return [
        "limit" if limit else "no limit",
        f"{mean('trained'):.1f} of {mean('complete'):.1f}",
        f"{mean('trained_over'):.1f}",
        f"{mean('epochs_over'):.1f}",
        spread("best"),
        spread("hypervolume"),
        f"{mean('seconds'):.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", type=int, default=40, help="random ones behind the limit")
    parser.add_argument("--percentile", type=float, default=30.0)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = chain_cnn(input_shape=(8, 8, 1), classes=10)
    below = float(np.percentile(latencies(space, arguments.networks, seed=0), arguments.percentile))
    runs = []
    for seed in range(arguments.seeds):
        for limit in (below, None):
            run = search(
                space,
                limit,
                below=below,
                trials=arguments.trials,
                epochs=arguments.epochs,
                seed=seed,
            )
            print(run, flush=True)
            runs.append(run)
    header = [
        "search",
        "networks trained",
        "of them over the limit",
        "epochs spent on these",
        "best accuracy below the limit",
        "hypervolume below the limit",
        "seconds",
    ]
    text = (
        f"{arguments.trials} trials of `chain_cnn` on digits, {arguments.epochs} epochs each, "
        f"{arguments.seeds} seeds. The limit, {below:.4f} ms, is the {arguments.percentile:g}th "
        f"percentile of {arguments.networks} random networks. The hypervolume is that of the error "
        "and the share of the limit, from (1, 1).\n\n"
        + table(header, [_row(runs, True), _row(runs, False)])
    )
    packages = ("optuna", "keras", "onnxruntime", "numpy")
    write(
        arguments.out,
        "A search under a limit of the latency",
        text,
        {"environment": environment(*packages), "limit_ms": below, "runs": runs},
    )


if __name__ == "__main__":
    main()
