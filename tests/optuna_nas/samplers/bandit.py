"""A gradient source without a supernet: its logits move to those of a target."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optuna_nas.space import SearchSpace


class Bandit:
    """Gradient ascent on the probability of one architecture.

    Args:
        space: What it searches.
        target: The architecture that the logits move to.
        epochs: Units of search.
        step: How far the logits move in one of them.
        alarm_at: The epoch from which it says that it collapses.
        kill_at: The epoch at which its process is killed.
        pause: Seconds an epoch takes.
    """

    def __init__(
        self,
        space: SearchSpace,
        target: Mapping[str, object],
        *,
        epochs: int = 4,
        step: float = 0.5,
        alarm_at: int | None = None,
        kill_at: int | None = None,
        pause: float = 0.0,
    ) -> None:
        self.domains = space.distributions()
        self.target = target
        self.epochs = epochs
        self.step = step
        self.alarm_at = alarm_at
        self.kill_at = kill_at
        self.pause = pause
        self.epoch = 0
        self.advanced = 0  # in this process
        self.weights = {name: np.zeros(int(d.size)) for name, d in self.domains.items()}

    def advance(self) -> bool:
        if self.epoch < self.epochs:
            time.sleep(self.pause)
            if self.epoch == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            for name, domain in self.domains.items():
                if name in self.target:
                    self.weights[name][list(domain.values()).index(self.target[name])] += self.step
            self.epoch += 1
            self.advanced += 1
        return self.epoch < self.epochs

    def logits(self) -> Mapping[str, NDArray[np.float64]]:
        return self.weights

    def checkpoint(self) -> bytes:
        weights = {name: values.tolist() for name, values in self.weights.items()}
        return json.dumps({"epoch": self.epoch, "weights": weights}).encode()

    def restore(self, state: bytes) -> None:
        restored = json.loads(state)
        self.epoch = restored["epoch"]
        self.weights = {name: np.array(values) for name, values in restored["weights"].items()}

    def status(self) -> Mapping[str, float | str | bool]:
        alarmed = self.alarm_at is not None and self.epoch >= self.alarm_at
        return {"epoch": self.epoch, "alarm": "nothing but skips" if alarmed else ""}


def checkpoints(folder: Path) -> int:
    """How many artifacts a store in a folder holds."""
    return sum(path.is_file() for path in folder.rglob("*"))
