"""What a supernet's steps cost beside those of the average architecture trained alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from environment import table

from keras_nas import build_model, train
from keras_nas.supernet import Supernet
from oneshot.images import SETS
from oneshot.searches import operations, small_space
from optuna_nas.space import Genotype, SearchSpace

ALONE = "the average architecture alone"
ROUNDS = 6
"""Epochs of each after the first, which traces."""
WAYS = {
    "mixture, weights": "softmax",
    "mixture, weights and alphas": "softmax",
    "single path, weights": "uniform",
    "single path, weights, and mixture, alphas": "gumbel",
}
Record = dict[str, Any]


def average(space: SearchSpace) -> Genotype:
    """Of 200 drawn, the architecture whose cost is nearest to the mean."""
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(200)]
    costs = np.array([space.graph(one).macs for one in drawn], float)
    return drawn[int(np.abs(costs - costs.mean()).argmin())]


def measure(data: Path, name: str, channels: int) -> Record:
    """Milliseconds of steps, in turn; seconds of the first epoch; megabytes of memory."""
    images = SETS[name](data)
    space = small_space(images, channels)
    half = len(images.x) // 2
    steps = -(-half // 64)
    process = psutil.Process()
    supernets: dict[str, Supernet] = {}
    built: dict[str, float] = {}
    memory: dict[str, float] = {}
    for way, policy in WAYS.items():
        before, started = process.memory_info().rss, time.perf_counter()
        supernet = Supernet(space, policy=policy, seed=0)
        validation = (images.x[half:], images.y[half:]) if supernet.policy.learns else None
        supernet.prepare(
            images.x[:half],
            images.y[:half],
            validation_data=validation,
            epochs=ROUNDS + 1,
            alpha_start=0 if way.endswith("alphas") else ROUNDS + 1,
        )
        supernets[way] = supernet
        supernet.advance()
        built[way] = time.perf_counter() - started
        memory[way] = (process.memory_info().rss - before) / 1e6
    seconds: dict[str, list[float]] = {way: [] for way in [*WAYS, ALONE]}
    genotype = average(space)
    before, started = process.memory_info().rss, time.perf_counter()

    def turn(epoch: int, _metrics: Mapping[str, float]) -> None:
        """After each epoch of the architecture alone, one of each supernet."""
        nonlocal started
        now = time.perf_counter()
        if epoch == 1:
            built[ALONE], memory[ALONE] = now - started, (process.memory_info().rss - before) / 1e6
        else:
            seconds[ALONE].append(now - started)
        if epoch <= ROUNDS:
            for way, supernet in supernets.items():
                seconds[way].append(_timed(supernet.advance))
        started = time.perf_counter()

    model = build_model(space.graph(genotype), seed=0)
    train(model, images.x[:half], images.y[:half], epochs=ROUNDS + 1, on_epoch_end=turn)
    return {
        "data": name,
        "channels": channels,
        "architecture": operations(genotype),
        "milliseconds": {way: 1e3 * float(np.median(s)) / steps for way, s in seconds.items()},
        "first": built,
        "megabytes": memory,
        "steps": steps,
        "params": [supernet.count_params(), space.graph(genotype).params],
    }


def _timed(advance: Callable[[], bool]) -> float:
    started = time.perf_counter()
    advance()
    return time.perf_counter() - started


def report(record: Record) -> str:
    """A Markdown table."""
    times = record["milliseconds"]
    rows = [
        [
            way,
            f"{times[way]:.1f}",
            f"{times[way] / times[ALONE]:.1f}",
            f"{record['first'][way] - record['steps'] * times[way] / 1e3:.1f}",
            f"{record['megabytes'][way]:.0f}",
        ]
        for way in times
    ]
    header = ["step of 64 images", "ms", "ratio", "s to trace and compile", "MB added"]
    return (
        f"{record['data']}, {record['channels']} channels; a supernet of {record['params'][0]:,} "
        f"parameters. Medians of {ROUNDS} epochs, in turn. The average architecture, "
        f"{record['params'][1]:,} parameters: {', '.join(record['architecture'])}.\n\n"
        + table(header, rows)
    )
