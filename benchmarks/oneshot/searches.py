"""Searches, one record each: what was found, and how good it is in the table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from contest.tables import EDGES, OPERATIONS, Table
from environment import table

from oneshot.images import SETS, Images
from oneshot.methods import ALPHA_RATE, DRAWN, METHODS
from optuna_nas.space import Genotype, SearchSpace
from optuna_nas.spaces import nas_bench_201

Record = dict[str, Any]
EPOCHS = {"digits": 24, "mnist": 8, "patches": 8, "turned": 8}
SIGNS = {
    "none": "-",
    "skip_connect": "s",
    "nor_conv_1x1": "1",
    "nor_conv_3x3": "3",
    "avg_pool_3x3": "p",
}


class Judge:
    """Looks architectures up in the recorded table.

    Args:
        data: The folder with nasbench201/nasbench201.npz.
    """

    def __init__(self, data: Path) -> None:
        with np.load(data / "nasbench201" / "nasbench201.npz", allow_pickle=False) as file:
            self.accuracies = file["test_acc_cifar10"].astype(float)
            self._table = Table([f"cell/{edge}" for edge in EDGES], OPERATIONS, file["ops"])

    def accuracy(self, genotype: Genotype) -> float:
        """Mean CIFAR-10 test accuracy, in percent."""
        return float(self.accuracies[self._table.row(genotype)])


def small_space(images: Images, channels: int) -> SearchSpace:
    """NAS-Bench-201 with one cell a stage."""
    return nas_bench_201(
        input_shape=images.shape, classes=images.classes, channels=channels, cells=1
    )


def operations(genotype: Genotype) -> list[str]:
    """Of the six edges, in the order of the table."""
    return [str(genotype[f"cell/{edge}"]) for edge in EDGES]


def search(data: Path, name: str, channels: int, epochs: int, method: str, seed: int) -> Record:
    """One search and its figures."""
    images, judge = SETS[name](data), Judge(data)
    space = small_space(images, channels)
    started = time.perf_counter()
    found = METHODS[method].search(space, images, epochs, seed)
    chosen = operations(found.genotype)
    return {
        "data": name,
        "channels": channels,
        "epochs": epochs,
        "method": method,
        "seed": seed,
        "seconds": time.perf_counter() - started,
        "cell": "".join(map(SIGNS.__getitem__, chosen)),
        "accuracy": judge.accuracy(found.genotype),
        "skips": chosen.count("skip_connect") / len(chosen),
        "nones": chosen.count("none") / len(chosen),
        "pools": chosen.count("avg_pool_3x3") / len(chosen),
        "alarm": found.alarm,
    }


def report(records: Iterable[Record], judge: Judge) -> str:
    """A Markdown table for each set of images and number of channels."""
    records = list(records)
    exact = judge.accuracies
    text = (
        "CIFAR-10 test accuracy recorded in NAS-Bench-201 of the cells found, in percent. A random "
        f"cell: {exact.mean():.2f} on average, median {np.median(exact):.2f}, "
        f"{np.mean(exact >= 93):.0%} reach 93, {np.mean(exact >= 90):.0%} reach 90; the best has "
        f"{exact.max():.2f}. Cells: edges {', '.join(EDGES)}; 3 and 1 convolutions, s skip, "
        "p average pooling, - none. Half of the images are for the weights, half for the "
        f"architecture. Learning rate of alphas: {ALPHA_RATE}. SPOS trains five times as many "
        f"epochs, FairNAS five paths a step; both take the best of {DRAWN} drawn cells, without an "
        "alarm."
    )
    for group in sorted({_group(one) for one in records}):
        own = [one for one in records if _group(one) == group]
        rows = [
            _row(method, [one for one in own if one["method"] == method])
            for method in METHODS
            if any(one["method"] == method for one in own)
        ]
        text += "\n\n### {}, {} channels, {} epochs\n\n".format(*group) + table(HEADER, rows)
    return text


HEADER = [
    "method",
    "seeds",
    "mean ± sd",
    "minimum",
    "skips",
    "none",
    "pools",
    "alarms",
    "seconds",
    "cells",
]


def _group(one: Record) -> tuple[str, int, int]:
    return one["data"], one["channels"], one["epochs"]


def _row(method: str, records: Sequence[Record]) -> list[str]:
    accuracies = np.array([one["accuracy"] for one in records])
    spread = f" ± {accuracies.std(ddof=1):.2f}" if len(records) > 1 else ""
    return [
        method,
        str(len(records)),
        f"{accuracies.mean():.2f}{spread}",
        f"{accuracies.min():.2f}",
        *(f"{np.mean([one[key] for one in records]):.0%}" for key in ("skips", "nones", "pools")),
        f"{sum(bool(one['alarm']) for one in records)} of {len(records)}",
        f"{np.mean([one['seconds'] for one in records]):.0f}",
        " ".join(one["cell"] for one in sorted(records, key=lambda one: one["seed"])),
    ]
