"""Latency of an untrained candidate: how quickly it is had, how near to the delivered model's.

For random networks of a NAS-Bench-201-like space (16 channels, one cell a stage, 32x32x3) this
times writing a skeleton from the graph beside Keras's own export of the same network, and measures
three files side by side: the skeleton with random weights, our export of the Keras model with its
weights, and Keras's export.

Keras's export goes on computing what is multiplied by the zeros of a "none" edge, which our writer
leaves out. Such networks are marked with a star, and compared with our export alone.

    python benchmarks/latency_before_training.py                # 50 networks, about 5 minutes
    python benchmarks/latency_before_training.py --networks 5
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_nas import build_model, export_onnx
from optuna_nas.export import onnx_bytes, write_onnx
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.profiling import LatencyProfile, Quality, profile_many
from optuna_nas.spaces import nas_bench_201

REPEATS = 5  # of what takes milliseconds
DEMANDED_SPEEDUP = 100.0
DEMANDED_ERROR = 0.03
DEMANDED_TAU = 0.97


def seconds(action: Callable[[], Any], repeats: int = 1) -> float:
    """Median wall time of an action."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def model_with_statistics(graph: ArchitectureGraph, rng: np.random.Generator) -> Any:
    """A Keras model whose batch normalisations have seen data, as a trained one's have."""
    model = build_model(graph, seed=0)
    for _ in range(3):
        model(rng.standard_normal((16, *graph.input_shape)).astype(np.float32), training=True)
    return model


def computes_zeros(model: Any) -> bool:
    """Whether a "none" edge, which is built as a multiplication by 0, is left in a Keras model."""
    return any(type(layer).__name__ == "Rescaling" for layer in model.layers)


def measure(
    graph: ArchitectureGraph, folder: Path, rng: np.random.Generator, budget: float
) -> tuple[dict[str, float], list[LatencyProfile], bool]:
    """One network: times in seconds, profiles of skeleton, our and Keras's export, `none` edges."""
    start = time.perf_counter()
    model = model_with_statistics(graph, rng)
    files = [folder / name for name in ("skeleton.onnx", "ours.onnx", "keras.onnx")]
    times = {
        "build": time.perf_counter() - start,
        "skeleton": seconds(lambda: onnx_bytes(graph), REPEATS),
        "ours": seconds(lambda: export_onnx(model, files[1], batch=1, method="graph"), REPEATS),
        "keras": seconds(lambda: export_onnx(model, files[2], batch=1, method="keras")),
    }
    write_onnx(graph, files[0])
    profiles = profile_many(files, budget_seconds=budget, target_ci=0.005)
    return times, profiles, computes_zeros(model)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=1.0, help="seconds of timing a file")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    options = parser.parse_args()

    space = nas_bench_201(input_shape=(32, 32, 3), classes=10, channels=16, cells=1)
    rng = np.random.default_rng(options.seed)
    rows = []
    print("  # params     MACs | skeleton  ours    keras  | ms: skeleton   ours   keras | error")
    print(
        "                    |    ms      ms      s     |                             | ours  keras"
    )
    with tempfile.TemporaryDirectory() as folder:
        warm = space.graph(space.sample(rng))
        measure(warm, Path(folder), rng, 0.1)  # imports and first calls
        for number in range(options.networks):
            graph = space.graph(space.sample(rng))
            times, profiles, zeros = measure(graph, Path(folder), rng, options.budget)
            skeleton, ours, theirs = (profile.min_ms for profile in profiles)
            errors = [skeleton / other - 1.0 for other in (ours, theirs)]
            rows.append(
                {
                    "params": graph.params,
                    "macs": graph.macs,
                    "seconds": times,
                    "min_ms": [skeleton, ours, theirs],
                    "errors": errors,
                    "zeros": zeros,
                }
            )
            print(
                f"{number + 1:3} {graph.params:6,} {graph.macs:10,} | "
                f"{times['skeleton'] * 1e3:6.1f} "
                f"{times['ours'] * 1e3:7.1f} {times['keras']:7.2f}   | {skeleton:9.4f} {ours:9.4f} "
                f"{theirs:7.4f} | {errors[0]:+6.1%} {errors[1]:+6.1%}{'*' if zeros else ''}",
                flush=True,
            )

    exports = [row["seconds"]["build"] + row["seconds"]["keras"] for row in rows]
    speedups = np.array(exports) / [row["seconds"]["skeleton"] for row in rows]
    latencies = np.array([row["min_ms"] for row in rows])  # (networks, files)
    like = np.array([not row["zeros"] for row in rows])
    where = profiles[0].provenance
    print(
        f"\n{where['cpu']}, {where['cores']} cores, load {where['load_average']}, {where['os']}, "
        f"Python {where['python']}, ONNX Runtime {where['onnxruntime']}, {where['time']}"
    )
    low, median, high = np.quantile(speedups, [0, 0.5, 1])
    print(
        f"skeleton against building and exporting with Keras: {median:.0f}x quicker (from "
        f"{low:.0f}x to {high:.0f}x)"
    )
    reached = low >= DEMANDED_SPEEDUP
    everything = np.ones(len(rows), bool)
    compared = (("our export", 1, everything, DEMANDED_TAU), ("Keras's export", 2, like, -1.0))
    for name, column, among, tau in compared:
        if among.sum() < 2:
            continue
        quality = Quality.of(latencies[among, 0], latencies[among, column])
        largest = np.abs(latencies[among, 0] / latencies[among, column] - 1.0).max()
        print(
            f"latency of the skeleton against {name}, {quality.networks} networks: median error "
            f"{quality.median_error:.2%}, largest {largest:.2%}, Kendall tau "
            f"{quality.kendall_tau:.3f}"
        )
        reached &= bool(largest <= DEMANDED_ERROR and quality.kendall_tau >= tau)
    if not like.all():
        ratios = latencies[~like, 2] / latencies[~like, 1]
        print(
            f"{len(ratios)} networks with 'none' edges (*): Keras's export takes "
            f"{ratios.min():.2f} to {ratios.max():.2f} times as long as ours"
        )
    if options.json:
        state = {"environment": dict(where), "networks": rows}
        options.json.write_text(json.dumps(state, indent=2))
    print(
        f"demanded: {DEMANDED_SPEEDUP:.0f}x quicker and within {DEMANDED_ERROR:.0%} on every "
        f"network, Kendall tau of {DEMANDED_TAU} with the models that are delivered:",
        "yes" if reached else "NO",
    )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
