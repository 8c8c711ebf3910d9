"""How well latencies are predicted: by a table of operations, from few networks, by counting.

For random networks of three spaces that neither the tables nor the fits have seen, this compares
with measured latencies: a `LatencyTable`, a `LatencyPredictor` fitted to the same networks as the
table, and lines through MACs and parameters fitted to them too. The held-out networks are measured
a second time: how well that agrees with the first is what no prediction can be expected to pass.
Predictions are compared with the quicker of both. MACs and parameters do not count layers that
can't change the output; with those they rank worse.

With `--data`, a NAS-Bench-201 table with the latencies that HW-NAS-Bench-360 recorded on a
Raspberry Pi 5 with ONNX Runtime (CIFAR-100), this also tells how a table of this machine ranks
networks of that one, and how well both methods do once fitted to 20 of its latencies.

    python benchmarks/latency_table.py --data nasbench201.npz     # 200 networks a space
    python benchmarks/latency_table.py --held-out 20 --samples 40 --passes 1    # some minutes
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from environment import environment, table, write

from optuna_nas import spaces
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.profiling import (
    LatencyJob,
    LatencyPredictor,
    LatencyTable,
    Quality,
    time_models,
)
from optuna_nas.profiling.fitting import fit_relative
from optuna_nas.profiling.job import held_out, network
from optuna_nas.space import SearchSpace

SPACES = ("nas_bench_201", "mobile_cnn", "chain_cnn")
READY = [name for name in spaces.__all__ if name != "training_decisions"]
TAU, ERROR = 0.95, 0.05
Predict = Callable[[ArchitectureGraph], float]
# The order of the columns in which NAS-Bench-201's operations are kept, and their names.
EDGES = ("0->1", "0->2", "0->3", "1->2", "1->3", "2->3")
OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")


def line(
    count: Callable[[ArchitectureGraph], int],
    graphs: Sequence[ArchitectureGraph],
    latencies: Sequence[float],
) -> Predict:
    """Latency as a line through a count, fitted to networks."""
    columns = np.array([[1.0, count(graph) / 1e6] for graph in graphs])
    fit = fit_relative(columns, np.array(latencies), prior=np.zeros(2))
    return lambda graph: float(fit.shared @ [1.0, count(graph) / 1e6])


def predictions(
    known: LatencyTable, graphs: Sequence[ArchitectureGraph], latencies: Sequence[float]
) -> dict[str, Predict]:
    """What is compared, all fitted to the same networks."""
    return {
        "`LatencyTable`": known.fitted_to(graphs, latencies).predict,
        "`LatencyPredictor`": LatencyPredictor.fit(graphs, latencies).predict,
        "line through MACs": line(lambda graph: graph.pruned().macs, graphs, latencies),
        "line through parameters": line(lambda graph: graph.pruned().params, graphs, latencies),
    }


def judge(
    ways: Mapping[str, Predict], graphs: Sequence[ArchitectureGraph], latencies: Sequence[float]
) -> dict[str, Quality]:
    return {
        name: Quality.of([predict(graph) for graph in graphs], latencies)
        for name, predict in ways.items()
    }


def rows(name: str, found: Mapping[str, Quality]) -> list[list[str]]:
    return [
        [
            name,
            way,
            f"{quality.kendall_tau:.3f}",
            f"{quality.median_error:.1%}",
            f"{quality.p90_error:.1%}",
        ]
        for way, quality in found.items()
    ]


def measure(
    name: str, options: argparse.Namespace
) -> tuple[LatencyTable, dict[str, Quality], dict[str, Any]]:
    """The table of a space, how well everything predicts it, and how that was measured."""
    space = getattr(spaces, name)()
    job = LatencyJob(space, options.networks, options.held_out, options.samples, options.seed)
    timer = partial(
        time_models,
        seconds=options.seconds,
        passes=options.passes,
        progress=lambda text: print(f"{name}, {text}    ", end="\r", flush=True),
    )
    start = time.perf_counter()
    times = timer(job.models)
    seconds = time.perf_counter() - start
    known = LatencyTable.from_times(job, times)
    fitted = [times.ms[network(k)] for k in range(len(job.fitted))]
    names = [held_out(k) for k in range(len(job.judged))]
    first = [times.ms[name] for name in names]
    again = timer({name: job.models[name] for name in names})
    second = [again.ms[name] for name in names]
    measured = list(map(min, first, second))
    found = judge(predictions(known, job.fitted, fitted), job.judged, measured)
    found["(measured again)"] = Quality.of(second, first)
    covered = float(np.mean([known.covers(graph) for graph in job.judged]))
    fit = f"{known.offset_ms:.4f}, {known.scale:.3f}, {known.ms_per_mb:.4f}"
    details = {
        "operations measured": len(job.operations),
        "held-out networks": len(job.judged),
        "all of whose operations were measured": f"{covered:.0%}",
        "latencies, ms": f"{min(measured):.3f} to {max(measured):.3f}",
        "offset ms, scale, ms a MB": fit,
        "seconds of measuring": f"{seconds:.0f}",
        "load then": times.provenance["load_average"],
        "us a prediction: graph, genotype": speed(known, space, options.seed),
    }
    return known, found, details


def speed(known: LatencyTable, space: SearchSpace, seed: int) -> str:
    """Microseconds a prediction: of graphs, and of genotypes from the first 500 to the fifth."""
    rng = np.random.default_rng(seed)
    genotypes = [space.sample(rng) for _ in range(2500)]
    graphs = [space.graph(genotype) for genotype in genotypes[:500]]
    known = pickle.loads(pickle.dumps(known))  # nothing is remembered
    times = []
    for networks in (
        graphs,
        *(genotypes[k : k + 500] for k in range(0, 2500, 500)),
        genotypes[:500],
    ):
        start = time.perf_counter()
        for each in networks:
            known.predict(each)
        times.append((time.perf_counter() - start) / 500 * 1e6)
    whole, first, *_, fifth, again = times
    return f"{whole:.0f}, new {first:.0f} to {fifth:.0f}, met before {again:.0f}"


def raspberry_pi(known: LatencyTable, path: Path, options: argparse.Namespace) -> list[list[str]]:
    """The same on recorded latencies of another device, with and without the operation "none"."""
    with np.load(path, allow_pickle=False) as data:
        operations, latencies = data["ops"], data["hw360_pi5_onnx_cifar100_lat_ms"]
    space = spaces.nas_bench_201(classes=100)
    names = {point.name.rsplit("/", 1)[-1]: point.name for point in space.points}
    lines: list[list[str]] = []
    plain = (operations != OPERATIONS.index("none")).all(axis=1)
    for title, among in (("all cells", np.ones(len(plain), bool)), ('cells without "none"', plain)):
        chosen = np.random.default_rng(options.seed).permutation(np.flatnonzero(among))
        chosen = chosen[: options.networks + options.recorded]
        graphs = []
        for cell in operations[chosen]:
            pairs = zip(EDGES, cell, strict=True)
            decisions = {names[edge]: OPERATIONS[code] for edge, code in pairs}
            graphs.append(space.graph(space.genotype(decisions)))
        values = latencies[chosen].astype(float).tolist()
        to, rest = slice(options.networks), slice(options.networks, None)
        there = judge(predictions(known, graphs[to], values[to]), graphs[rest], values[rest])
        untouched = Quality.of([known.predict(graph) for graph in graphs[rest]], values[rest])
        name = f"Raspberry Pi 5, {title}"
        tau = f"{untouched.kendall_tau:.3f}"
        lines.append([name, "`LatencyTable` of this machine", tau, "-", "-"])
        lines += rows(name, {f"{way}, fitted there": q for way, q in there.items()})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", choices=READY, default=list(SPACES))
    parser.add_argument("--networks", type=int, default=20, help="to fit to (20)")
    parser.add_argument("--held-out", type=int, default=200, help="to judge by (200)")
    parser.add_argument("--samples", type=int, default=200, help="whose operations are timed (200)")
    parser.add_argument("--recorded", type=int, default=500, help="recorded ones to judge by (500)")
    parser.add_argument("--seconds", type=float, default=0.1, help="a model and pass (0.1)")
    parser.add_argument("--passes", type=int, default=3, help="over all models (3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="nasbench201.npz with recorded latencies")
    parser.add_argument("--out", help="write the report to this file, .md or .json")
    options = parser.parse_args()

    header = ["space", "predicted by", "Kendall tau", "median error", "90 % error"]
    lines: list[list[str]] = []
    details: dict[str, dict[str, Any]] = {}
    reached = []
    for name in options.spaces:
        known, found, details[name] = measure(name, options)
        lines += rows(name, found)
        quality = found["`LatencyTable`"]
        met = quality.kendall_tau >= TAU and quality.median_error <= ERROR
        reached.append(f"- {name}: {'reached' if met else 'NOT reached'}")
        if name == "nas_bench_201" and options.data is not None:
            lines += raspberry_pi(known, options.data, options)
    facts = [
        [fact, *(str(details[n][fact]) for n in details)] for fact in next(iter(details.values()))
    ]
    text = "\n\n".join(
        [
            f"Random networks; all fits are to {options.networks} others.",
            table(header, lines),
            f"Demanded of the table: Kendall tau of {TAU} and a median error of {ERROR:.0%}.",
            "\n".join(reached),
            table(["", *details], facts),
        ]
    )
    results = {
        "environment": environment("numpy", "onnx", "onnxruntime", "optuna"),
        "details": details,
        "rows": lines,
    }
    write(options.out, "Predicted latencies", text, results)


if __name__ == "__main__":
    main()
