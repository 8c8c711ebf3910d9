"""Whether a supernet ranks architectures as training each of them does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from environment import table
from scipy.stats import kendalltau, spearmanr

from keras_nas import build_model, train
from keras_nas.training import evaluate
from oneshot.images import SETS
from oneshot.methods import CALIBRATION, METHODS
from oneshot.searches import EPOCHS, Judge, small_space
from optuna_nas.space import Genotype, SearchSpace

ARCHITECTURES = 30
RANKED = ("SPOS", "FairNAS", "DARTS")
EPOCHS_ALONE = 8
RATE_ALONE = 5e-3
Record = dict[str, Any]


def drawn(space: SearchSpace) -> list[Genotype]:
    """The architectures, none twice."""
    rng = np.random.default_rng(0)
    found: dict[Genotype, None] = {}
    while len(found) < ARCHITECTURES:
        found[space.sample(rng)] = None
    return list(found)


def alone(data: Path, name: str, channels: int) -> Record:
    """Train each architecture by itself, with the half of the images that supernets learn from."""
    images, judge = SETS[name](data), Judge(data)
    space = small_space(images, channels)
    half = len(images.x) // 2
    losses, accuracies, seconds = [], [], []
    architectures = drawn(space)
    for number, genotype in enumerate(architectures):
        started = time.perf_counter()
        model = build_model(space.graph(genotype), seed=number)
        train(
            model,
            images.x[:half],
            images.y[:half],
            epochs=EPOCHS_ALONE,
            learning_rate=RATE_ALONE,
            seed=number,
        )
        loss, accuracy = evaluate(model, images.x[half:], images.y[half:])
        seconds.append(time.perf_counter() - started)
        losses.append(loss)
        accuracies.append(accuracy)
    return {
        "data": name,
        "channels": channels,
        "losses": losses,
        "accuracies": accuracies,
        "recorded": [judge.accuracy(genotype) for genotype in architectures],
        "seconds": float(np.mean(seconds)),
    }


def shared(data: Path, name: str, channels: int, method: str, seed: int) -> Record:
    """Evaluate the same architectures with the weights of a supernet, recalibrated and not."""
    images = SETS[name](data)
    space = small_space(images, channels)
    half = len(images.x) // 2
    supernet = METHODS[method].trained(space, images, EPOCHS[name], seed)
    record: Record = {"data": name, "channels": channels, "method": method, "seed": seed}
    for way, calibration in (("recalibrated", images.x[:CALIBRATION]), ("batch", None)):
        started = time.perf_counter()
        scores = [
            supernet.evaluate(one, images.x[half:], images.y[half:], calibration=calibration)
            for one in drawn(space)
        ]
        record[way] = {
            "losses": [loss for loss, _ in scores],
            "accuracies": [accuracy for _, accuracy in scores],
            "seconds": (time.perf_counter() - started) / len(scores),
        }
    return record


HEADER = ["supernet", "normalised by", "tau", "rho", "tau, table", "rho, table", "evaluations/min"]


def report(alone: Record, shared: Sequence[Record]) -> str:
    """Correlations with training alone, and with the recorded table."""
    text = (
        f"{ARCHITECTURES} random cells, {alone['data']}, {alone['channels']} channels; validation "
        f"loss with the supernet's weights against that after {EPOCHS_ALONE} epochs of training "
        "alone on the same images, and against the accuracy in the table. Training alone against "
        "the table: "
        f"tau {kendalltau(alone['losses'], _errors(alone))[0]:.2f}, "
        f"rho {spearmanr(alone['losses'], _errors(alone))[0]:.2f}. "
        f"Training alone takes {alone['seconds']:.1f} s, {60 / alone['seconds']:.0f} a minute."
    )
    rows = [
        [
            one["method"],
            "the batch" if way == "batch" else f"{CALIBRATION} images",
            *_correlations(one[way]["losses"], alone["losses"]),
            *_correlations(one[way]["losses"], _errors(alone)),
            f"{60 / one[way]['seconds']:.0f}",
        ]
        for one in shared
        for way in ("recalibrated", "batch")
    ]
    return text + "\n\n" + table(HEADER, rows)


def _errors(alone: Record) -> list[float]:
    return [-accuracy for accuracy in alone["recorded"]]


def _correlations(found: Sequence[float], truth: Sequence[float]) -> list[str]:
    return [f"{measure(found, truth)[0]:.2f}" for measure in (kendalltau, spearmanr)]
