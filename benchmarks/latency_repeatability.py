"""How far measurements of latencies in several processes agree, and rank networks alike.

Random networks of NAS-Bench-201 are measured one at a time, as a search does, by processes of their
own that start one after another, while another process keeps the other core busy. Beside the
estimates of `profile_onnx` stands what one would write by hand: the mean of 100 runs after 10 that
do not count, with the same thread and on the same core. For each estimate: the coefficient of
variation between processes (median and largest over networks), the largest deviation of one
measurement from its network's median, and Kendall's tau between the rankings of two processes (mean
and lowest over pairs).

    python benchmarks/latency_repeatability.py                  # two minutes
    python benchmarks/latency_repeatability.py --networks 5 --no-load
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnxruntime
from environment import environment, table, write
from scipy.stats import kendalltau

from optuna_nas.export import onnx_bytes
from optuna_nas.profiling import LatencyProfile, anchor_reference_ms, profile_onnx
from optuna_nas.spaces import nas_bench_201

ESTIMATES = {
    "calibrated_ms": "`calibrated_ms`: ratio of minima to the anchor",
    "min_ms": "`min_ms`: quickest run",
    "median_ms": "`median_ms`: median of rounds",
    "naive": "mean of 100 runs",
}
"""Names as in `LatencyProfile`; the last is measured here."""


def naive_ms(model: bytes, *, runs: int = 100, warmup: int = 10) -> float:
    """Mean time of a run, as one would measure it by hand."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    item = session.get_inputs()[0]
    feed = {item.name: np.random.default_rng(0).random(item.shape, dtype=np.float32)}
    for _ in range(warmup):
        session.run(None, feed)
    start = time.perf_counter()
    for _ in range(runs):
        session.run(None, feed)
    return (time.perf_counter() - start) / runs * 1e3


def measure(
    models: Sequence[bytes], reference: float, budget: float, core: int | None
) -> list[tuple[float, dict[str, Any]]]:
    """What one process finds: the naive mean, and the profile, of each network."""
    keep_to(core)
    found = []
    for model in models:
        naive = naive_ms(model)
        profile = profile_onnx(model, anchor_reference_ms=reference, budget_seconds=budget)
        found.append((naive, profile.to_dict()))
    return found


def keep_to(core: int | None) -> None:
    """Run on one core from now on."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def work(core: int | None) -> None:
    """Multiply matrices for ever: arithmetic and memory at once."""
    keep_to(core)
    values = np.random.default_rng(0).random((400, 400))
    while True:
        values @ values


@contextmanager
def loaded(context: Any, core: int | None, wanted: bool) -> Iterator[None]:
    """Keeps a core busy meanwhile."""
    if not wanted:
        yield
        return
    process = context.Process(target=work, args=(core,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def agreement(values: np.ndarray) -> tuple[float, float, float, float, float]:
    """Median and largest variation, largest deviation, mean and lowest tau.

    Args:
        values: Shape (processes, networks).
    """
    variation = values.std(axis=0, ddof=1) / values.mean(axis=0)
    worst = np.abs(values / np.median(values, axis=0) - 1.0).max()
    taus = [kendalltau(a, b).statistic for a, b in itertools.combinations(values, 2)]
    return (
        float(np.median(variation)),
        float(variation.max()),
        float(worst),
        float(np.mean(taus)),
        float(np.min(taus)),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--budget", type=float, default=1.0, help="seconds a measurement at most")
    parser.add_argument("--no-load", action="store_true", help="leave the other core alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a .md or .json file for the results")
    options = parser.parse_args()

    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    here, there = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    space = nas_bench_201(input_shape=(32, 32, 3), channels=16, cells=1)
    rng = np.random.default_rng(options.seed)
    models = [onnx_bytes(space.graph(space.sample(rng))) for _ in range(options.networks)]
    context = multiprocessing.get_context("spawn")
    # Once a study, before the load.
    with context.Pool(1, keep_to, (here,)) as pool:
        reference = pool.apply(anchor_reference_ms)
    found = []
    with loaded(context, there, not options.no_load):
        for _ in range(options.processes):
            with context.Pool(1) as pool:
                found.append(pool.apply(measure, (models, reference, options.budget, here)))

    profiles = [[LatencyProfile.from_dict(state) for _, state in process] for process in found]
    values = {
        name: np.array([[getattr(profile, name) for profile in process] for process in profiles])
        for name in ESTIMATES
        if name != "naive"
    }
    values["naive"] = np.array([[naive for naive, _ in process] for process in found])
    results = {name: agreement(values[name]) for name in ESTIMATES}
    rows = [
        [
            told,
            *(f"{share:.2%}" for share in results[name][:3]),
            *(f"{t:.3f}" for t in results[name][3:]),
        ]
        for name, told in ESTIMATES.items()
    ]
    flat = [profile for process in profiles for profile in process]
    slowdowns = np.quantile([profile.slowdown or 1.0 for profile in flat], [0.5, 0.9, 1.0])
    narrow = np.mean([profile.stopped_by == "narrow" for profile in flat])
    busy = (
        "the other core left alone"
        if options.no_load
        else "a process multiplying matrices on the other core"
    )
    load = [profile.provenance["load_average"] for profile in flat]
    text = (
        table(["estimate", "variation", "largest", "worst value", "Kendall tau", "lowest"], rows)
        + f"\n\n{len(models)} networks (16 channels, 1 cell a stage, 32x32x3), each measured "
        f"once by each of {options.processes} processes on one core, {busy}; "
        f"{np.mean([p.seconds for p in flat]):.2f} s a measurement, {narrow:.0%} stopped narrow. "
        f"Anchor {reference:.4f} ms, slowed down {slowdowns[0]:.3f} / {slowdowns[1]:.3f} / "
        f"{slowdowns[2]:.3f} (median, 90 %, worst). Load average of the machine while measuring: "
        f"{min(load)} to {max(load)}."
    )
    write(
        options.out,
        "Repeatability of latencies",
        text,
        {
            "agreement": results,
            "values": {name: array.tolist() for name, array in values.items()},
            "environment": environment("onnxruntime", "numpy", "optuna-nas"),
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
