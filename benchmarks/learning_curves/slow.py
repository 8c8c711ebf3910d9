"""Rivals that take seconds a curve: their forecasts are kept, so that a run can be taken up again.

One file a rival, one line a forecast. Curves are taken one of every task in turn, in a fixed order,
so that what is there when time is up is spread over all tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learning_curves.data import Task
from learning_curves.scores import Forecast, forecast
from optuna_nas.curves import CurveModel

Runs = NDArray[np.int64]


def order(task: Task, seed: int) -> Runs:
    """The task's runs, shuffled: forecast from the front, known as finished from the back."""
    return np.random.default_rng(seed).permutation(len(task.losses))


class Kept:
    """Forecasts of one rival, in a file that grows by a line each.

    Args:
        path: Ends in .jsonl; may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[tuple[str, int, float], Forecast] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                task, cutoff = row.pop("task"), row.pop("cutoff")
                self._known[task, row["run"], cutoff] = Forecast(**row)

    def of(self, task: Task, cutoff: float, seed: int, runs: int) -> list[Forecast]:
        """Those of the first runs of a task that are there."""
        keys = ((task.name, int(run), cutoff) for run in order(task, seed)[:runs])
        return [self._known[key] for key in keys if key in self._known]

    def complete(
        self,
        tasks: list[Task],
        cutoffs: tuple[float, ...],
        make: Callable[[Task], CurveModel],
        *,
        seed: int,
        runs: int,
    ) -> Iterator[Forecast]:
        """Forecast what is missing of the first runs of all tasks; one at a time."""
        for place in range(runs):
            for task in tasks:
                run = int(order(task, seed)[place])
                for cutoff in cutoffs:
                    key = (task.name, run, cutoff)
                    if key in self._known:
                        continue
                    predictor = make(task).fit([], task.horizon)
                    found = forecast(predictor, task, run, cutoff)
                    self._known[key] = found
                    row = {"task": task.name, "cutoff": cutoff, **asdict(found)}
                    with self.path.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    yield found
