"""Real learning curves, in the form that all methods are scored in.

They come as one array a task, ``<task>__<metric>``, one row a run and one column an epoch:
Baker et al. 2018 (https://arxiv.org/abs/1705.10823), TaskSet (https://arxiv.org/abs/2002.11887) and
NAS-Bench-NLP (https://arxiv.org/abs/2006.07116); or recorded by `learning_curves.record`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Task:
    """Runs on one data set; losses, smaller is better.

    Attributes:
        name: Of the array.
        suite: Which publication it is from.
        losses: Shape ``(runs, steps)``, finite.
        steps: Shape ``(steps,)``, the last one is the horizon.
        scale: Median minus 2nd percentile of the final losses: the unit of errors.
        maximize: Whether the user's values are minus the losses.
    """

    name: str
    suite: str
    losses: Array
    steps: Array
    scale: float
    maximize: bool

    @property
    def horizon(self) -> float:
        return float(self.steps[-1])

    @property
    def finals(self) -> Array:
        return self.losses[:, -1]


SUITES = {"metaqnn": "baker", "resnet": "baker", "taskset": "taskset", "nasbench": "nasbench"}


def suite_of(name: str) -> str:
    """Which publication a task is from, by the first word of its name; others are recorded ones."""
    return SUITES.get(name.split("_")[0], "recorded")


def make_task(name: str, losses: Array, *, maximize: bool = False) -> Task:
    """Leave out runs without an end, cap the others at three times the median first loss."""
    losses = losses[np.isfinite(losses).all(axis=1)].astype(float)
    if not maximize:
        losses = np.minimum(losses, 3.0 * np.median(losses[:, 0]))
    finals = losses[:, -1]
    scale = float(np.median(finals) - np.percentile(finals, 2))
    steps = np.arange(1.0, losses.shape[1] + 1.0)
    return Task(name, suite_of(name), losses, steps, max(scale, 1e-9), maximize)


def load(path: str) -> list[Task]:
    """All tasks of an .npz file."""
    tasks = []
    with np.load(path) as file:
        for name in file.files:
            maximize = "accuracy" in name
            values = file[name].astype(float)
            tasks.append(make_task(name, -values if maximize else values, maximize=maximize))
    return tasks
