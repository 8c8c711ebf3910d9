"""What a candidate costs: building and training a NAS-Bench-201 network on digits for a few epochs.

Compares `keras_nas.training.train` with plain ``compile`` and ``fit`` on the same architectures,
initial seeds, examples and learning rates. Each way has a process of its own, so memory can be told
apart, and the processes take turns candidate by candidate, so a slow spell of the machine hits all.

    python benchmarks/candidate_cost.py --candidates 100 --epochs 3 --out benchmarks/results
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

BATCH = 64
LEARNING_RATE = 2e-3
WAYS = {
    "fit": "compile + fit",
    "train": "train",
    "pruned": "train, pruned graph",
}


def candidate(way: str, space: Any, data: Any, number: int, epochs: int) -> dict[str, float]:
    """Build and train architecture ``number``; what it took and how well it did."""
    import keras
    import numpy as np
    import psutil

    from keras_nas import build_model, train

    x_train, y_train, x_val, y_val = data
    graph = space.graph(space.sample(np.random.default_rng(number)))
    wall, cpu = time.perf_counter(), time.process_time()
    model = build_model(graph.pruned() if way == "pruned" else graph, seed=number)
    built = time.perf_counter()
    if way == "fit":
        steps = epochs * -(-len(x_train) // BATCH)
        model.compile(
            keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        curve = model.fit(
            x_train,
            y_train,
            validation_data=(x_val, y_val),
            batch_size=BATCH,
            epochs=epochs,
            verbose=0,
        ).history
    else:
        curve = train(
            model,
            x_train,
            y_train,
            x_val=x_val,
            y_val=y_val,
            epochs=epochs,
            batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            seed=number,
        ).curve
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "build": built - wall,
        "first": curve["val_accuracy"][0],
        "last": curve["val_accuracy"][-1],
        "rss": psutil.Process().memory_info().rss / 2**20,
    }


def work(way: str, epochs: int, threads: int | None, pipe: Connection) -> None:
    """A process that does the candidates it is told to."""
    import numpy as np
    from sklearn.datasets import load_digits

    from keras_nas.training import configure
    from optuna_nas.spaces import nas_bench_201

    configure(threads=threads)
    space = nas_bench_201(input_shape=(8, 8, 1), classes=10, channels=16, cells=1)
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    x = (images[order].reshape(-1, 8, 8, 1) / 16.0).astype("float32")
    y = labels[order].astype("int64")
    data = (x[:1200], y[:1200], x[1200:], y[1200:])
    candidate(way, space, data, 10**6, 1)  # what a process does once is nobody's cost
    pipe.send(None)
    while (number := pipe.recv()) is not None:
        pipe.send(candidate(way, space, data, number, epochs))


def measure(candidates: int, epochs: int, threads: int | None) -> dict[str, list[dict[str, float]]]:
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for way in WAYS:
        pipes[way], theirs = context.Pipe()
        process = context.Process(target=work, args=(way, epochs, threads, theirs), daemon=True)
        process.start()
        processes.append(process)
    for pipe in pipes.values():
        pipe.recv()
    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    names = list(WAYS)
    for number in range(candidates):
        turn = number % len(names)
        for way in names[turn:] + names[:turn]:
            pipes[way].send(number)
            results[way].append(pipes[way].recv())
        print(f"\r{number + 1}/{candidates}", end="", flush=True)
    print()
    for pipe in pipes.values():
        pipe.send(None)
    for process in processes:
        process.join()
    return results


def report(results: dict[str, list[dict[str, float]]], epochs: int, threads: int | None) -> str:
    count = len(results["fit"])

    def column(way: str, key: str) -> list[float]:
        return [result[key] for result in results[way]]

    def ratio(way: str, key: str) -> float:
        pairs = zip(column("fit", key), column(way, key), strict=True)
        return statistics.median(a / b for a, b in pairs)

    def difference(way: str) -> str:
        differences = [
            a - b for a, b in zip(column(way, "last"), column("fit", "last"), strict=True)
        ]
        error = statistics.stdev(differences) / count**0.5 if count > 1 else float("nan")
        return f"{statistics.mean(differences):+.4f} ± {error:.4f}"

    lines = [
        "# Cost of a candidate",
        "",
        f"{count} random NAS-Bench-201 networks (16 channels, one cell a stage) on scikit-learn's "
        f"digits (8x8x1, 1,200 examples to train on, 597 to validate on), {epochs} epochs with "
        f"evaluation, batch {BATCH}. Building the Keras model is counted. Times are medians; "
        "ratios are medians of ratios for the same architecture, measured one after the other.",
        "",
        "| | " + " | ".join(WAYS.values()) + " |",
        "|---|" + "---|" * len(WAYS),
    ]

    def row(title: str, cells: list[str]) -> None:
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    def median(key: str, form: str) -> list[str]:
        return [format(statistics.median(column(way, key)), form) for way in WAYS]

    def ratios(key: str) -> list[str]:
        return [f"{ratio(way, key):.2f}" for way in WAYS]

    def memory(index: int) -> list[str]:
        return [f"{column(way, 'rss')[index]:.0f}" for way in WAYS]

    row("wall, s", median("wall", ".2f"))
    row("of it building, s", median("build", ".2f"))
    row("processor, s", median("cpu", ".2f"))
    row("quicker than fit, wall", ratios("wall"))
    row("cheaper than fit, processor", ratios("cpu"))
    for title, key in (("first", "first"), ("last", "last")):
        cells = []
        for way in WAYS:
            values = column(way, key)
            spread = statistics.stdev(values) if count > 1 else float("nan")
            cells.append(f"{statistics.mean(values):.4f} ± {spread:.4f}")
        row(f"validation accuracy, {title} epoch (mean ± spread)", cells)
    row("last, difference to fit (mean ± standard error)", [difference(way) for way in WAYS])
    for number in sorted({1, count // 4, count // 2, 3 * count // 4, count} - {0}):
        row(f"memory after candidate {number}, MiB", memory(number - 1))
    if count >= 20:
        grown = []
        for way in WAYS:
            rss, fifth = column(way, "rss"), count // 5
            first, last = statistics.mean(rss[fifth : 2 * fifth]), statistics.mean(rss[-fifth:])
            grown.append(f"{(last - first) / (3 * fifth):+.2f}")
        row("memory grown a candidate (second to last fifth), MiB", grown)
    lines += ["", environment(threads), ""]
    return "\n".join(lines)


def environment(threads: int | None) -> str:
    versions = []
    for package in ("keras", "tensorflow", "tensorflow-cpu", "numpy"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"Environment: {platform.machine()}, {os.cpu_count()} cores{load}, {platform.system()}, "
        f"Python {platform.python_version()}, {', '.join(versions)}, "
        f"TensorFlow threads {threads or 'as it likes'}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None, help="TensorFlow's; all by default")
    parser.add_argument("--out", type=Path, help="folder to write candidate_cost.md to")
    options = parser.parse_args()
    text = report(
        measure(options.candidates, options.epochs, options.threads),
        options.epochs,
        options.threads,
    )
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "candidate_cost.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
