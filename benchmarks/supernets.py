"""Supernets on real images: what each method finds, how well ranks agree, what steps cost.

A reduced NAS-Bench-201 supernet, one cell a stage, is trained on small real images; the cell found
is looked up in the recorded table. Each part runs alone, and may be stopped and gone on with:

    python benchmarks/supernets.py search --data DATA --runs runs.jsonl
    python benchmarks/supernets.py ranks --data DATA --runs runs.jsonl
    python benchmarks/supernets.py cost --data DATA --runs runs.jsonl
    python benchmarks/supernets.py report --data DATA --runs runs.jsonl --out supernets.md

DATA has the folders nasbench201 and mnist. The set `patches` needs scikit-image.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from environment import environment, write
from oneshot import costs, ranks, searches
from oneshot.images import SETS
from oneshot.methods import METHODS

from keras_nas.training import configure


def recorded(path: Path) -> list[dict[str, Any]]:
    """Records of the parts that are done."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def record(path: Path, part: str, figures: dict[str, Any]) -> None:
    """Add one record."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"part": part, **figures}) + "\n")
    print({"part": part, **figures}, flush=True)


def pending(arguments: argparse.Namespace) -> Iterator[tuple[str, int, int, str, int]]:
    """Searches that are not recorded yet: set, channels, epochs, method, seed."""
    names = ("data", "channels", "epochs", "method", "seed")
    done = {
        tuple(one[key] for key in names)
        for one in recorded(arguments.runs)
        if one["part"] == "search"
    }
    for seed in range(arguments.seeds):
        for name in arguments.sets:
            for method in arguments.methods:
                epochs = arguments.epochs or searches.EPOCHS[name]
                one = (name, arguments.channels, epochs, method, seed)
                if one not in done:
                    yield one


def rank(arguments: argparse.Namespace, name: str) -> None:
    """Train architectures alone, and evaluate them with supernets, where that is not recorded."""
    group = name, arguments.channels
    old = [o for o in recorded(arguments.runs) if (o["data"], o["channels"]) == group]
    if not any(one["part"] == "alone" for one in old):
        record(arguments.runs, "alone", ranks.alone(arguments.data, *group))
    done = {one["method"] for one in old if one["part"] == "ranks"}
    for method in ranks.RANKED:
        if method not in done:
            found = ranks.shared(arguments.data, *group, method, seed=0)
            record(arguments.runs, "ranks", found)


def report(arguments: argparse.Namespace) -> None:
    """Write what is recorded."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in recorded(arguments.runs):
        found.setdefault(one["part"], []).append(one)
    parts = []
    if "search" in found:
        judge = searches.Judge(arguments.data)
        parts.append("## What is found\n\n" + searches.report(found["search"], judge))
    for alone in found.get("alone", []):
        group = alone["data"], alone["channels"]
        shared = [o for o in found.get("ranks", []) if (o["data"], o["channels"]) == group]
        parts.append("## Ranks\n\n" + ranks.report(alone, shared))
    parts += ["## Cost\n\n" + costs.report(one) for one in found.get("cost", [])]
    surroundings = environment("optuna", "keras", "tensorflow-cpu", "numpy")
    write(
        arguments.out,
        "Supernets on real images",
        "\n\n".join(parts),
        {"environment": surroundings, "runs": found},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("search", "ranks", "cost", "report"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True, help="records, one a line")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["digits", "mnist", "patches"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--epochs", type=int, help="left out: about 300 steps")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    configure(threads=arguments.threads)
    data, channels, runs = arguments.data, arguments.channels, arguments.runs
    if arguments.part == "report":
        report(arguments)
    if arguments.part == "search":
        for one in pending(arguments):
            record(runs, "search", searches.search(data, *one))
    for name in arguments.sets:
        if arguments.part == "cost":
            record(runs, "cost", costs.measure(data, name, channels))
        if arguments.part == "ranks":
            rank(arguments, name)


if __name__ == "__main__":
    main()
