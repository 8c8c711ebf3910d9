"""How far repeated measurements of one network's latency agree, and rank networks alike.

Random networks of a NAS-Bench-201-like space are measured one at a time, again and again, as a
search does. For each estimate: the coefficient of variation between repeats (mean over networks),
the largest deviation of one measurement from its network's median, and Kendall's tau between the
rankings of two repeats (mean over pairs).

    python benchmarks/latency_repeatability.py                  # about a minute
    python benchmarks/latency_repeatability.py --networks 5 --repeats 3
"""

from __future__ import annotations

import argparse
import itertools
import sys

import numpy as np
from scipy.stats import kendalltau

from optuna_nas.export import onnx_bytes
from optuna_nas.profiling import LatencyProfile, anchor_reference_ms, profile_onnx
from optuna_nas.spaces import nas_bench_201

ESTIMATES = ("median_ms", "min_ms", "calibrated_ms")


def report(profiles: list[list[LatencyProfile]]) -> None:
    """Prints the agreement of each estimate; profiles[repeat][network]."""
    print(f"{'estimate':<16}{'variation':>10}{'worst':>9}{'Kendall tau':>13}")
    for name in ESTIMATES:
        values = np.array([[getattr(p, name) for p in repeat] for repeat in profiles])
        variation = (values.std(axis=0, ddof=1) / values.mean(axis=0)).mean()
        worst = np.abs(values / np.median(values, axis=0) - 1.0).max()
        taus = [kendalltau(a, b).statistic for a, b in itertools.combinations(values, 2)]
        print(f"{name:<16}{variation:>10.2%}{worst:>9.2%}{np.mean(taus):>13.3f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--budget", type=float, default=1.0, help="seconds a measurement at most")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    space = nas_bench_201(input_shape=(32, 32, 3), channels=16, cells=1)
    rng = np.random.default_rng(options.seed)
    models = [onnx_bytes(space.graph(space.sample(rng))) for _ in range(options.networks)]
    reference = anchor_reference_ms()
    profiles = [
        [
            profile_onnx(model, anchor_reference_ms=reference, budget_seconds=options.budget)
            for model in models
        ]
        for _ in range(options.repeats)
    ]
    report(profiles)
    flat = [profile for repeat in profiles for profile in repeat]
    narrow = np.mean([profile.stopped_by == "narrow" for profile in flat])
    slowdowns = np.quantile([profile.slowdown or 1.0 for profile in flat], [0.5, 0.9, 1.0])
    where = flat[-1].provenance
    print(
        f"\n{len(models)} networks, {options.repeats} repeats, "
        f"{np.mean([p.seconds for p in flat]):.2f} s a measurement, {narrow:.0%} stopped narrow; "
        f"anchor {reference:.4f} ms, slowed down {slowdowns[0]:.3f} / {slowdowns[1]:.3f} / "
        f"{slowdowns[2]:.3f} (median, 90 %, worst)"
    )
    print(
        f"{where['cpu']}, {where['cores']} cores, load {where['load_average']}, {where['os']}, "
        f"Python {where['python']}, ONNX Runtime {where['onnxruntime']}, {where['time']}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
