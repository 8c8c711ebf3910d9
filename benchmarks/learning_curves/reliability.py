"""Whether probabilities are right where decisions are taken, not on average.

A study is replayed: its runs come in a random order, and at every tenth of the horizon a running
one is asked for the chance to beat the best finished so far. The full curves are known, so the
outcome counts for those, too, that a pruner would have stopped. A run is judged where its chance
is first below a threshold: the stated chance, averaged, is held against the share that would have
won.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from environment import table

from learning_curves.data import Task
from optuna_nas.curves import Curve, CurveModel

THRESHOLDS = (0.05, 0.1, 0.2)
PARTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
STARTUP = 4


@dataclass(frozen=True)
class Reliability:
    """The table as text and as rows."""

    text: str
    rows: list[dict[str, Any]]


def reliability(
    tasks: list[Task],
    make: Callable[[Task], CurveModel],
    *,
    seed: int,
    repeats: int = 10,
    trials: int = 40,
) -> Reliability:
    """Replay studies of every task."""
    rows = []
    for task in tasks:
        chances: dict[float, list[tuple[float, bool]]] = {t: [] for t in THRESHOLDS}
        model = make(task)
        for repeat in range(repeats):
            rng = np.random.default_rng([seed, repeat])
            order = rng.permutation(len(task.losses))[:trials]
            for place in range(STARTUP, trials):
                peers = [Curve(task.steps, task.losses[i]) for i in order[:place]]
                best = min(peer.last for peer in peers)
                predictor = model.fit(peers, task.horizon)
                losses = task.losses[order[place]]
                wins = bool(losses[-1] < best)
                below = set()
                for part in PARTS:
                    count = max(2, round(part * len(losses)))
                    curve = Curve.read(losses[:count], task.steps[:count], maximize=False)
                    chance = predictor.predict(curve).prob_better_than(best)
                    for threshold in THRESHOLDS:
                        if chance < threshold and threshold not in below:
                            below.add(threshold)
                            chances[threshold].append((chance, wins))
                    if len(below) == len(THRESHOLDS):
                        break
        for threshold, judged in chances.items():
            stated, won = np.array(judged).T if judged else (np.zeros(0), np.zeros(0))
            rows.append(
                {
                    "task": task.name,
                    "threshold": threshold,
                    "decisions": len(judged),
                    "stated": float(stated.mean()),
                    "true": float(won.mean()),
                    "wrong": int(won.sum()),
                }
            )
    lines = [
        [
            row["task"],
            f"{row['threshold']:.0%}",
            str(row["decisions"]),
            f"{row['stated']:.2%}",
            f"{row['true']:.2%}",
            str(row["wrong"]),
        ]
        for row in rows
    ]
    header = ["task", "chance below", "decisions", "stated chance", "would have won", "runs"]
    return Reliability(table(header, lines), rows)
