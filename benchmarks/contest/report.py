"""Tables of what is in the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from environment import table

from contest.contenders import Contender
from contest.runs import Store
from contest.task import CHECKPOINTS, Task

REFERENCE = "nsga2"  # whose gap to the exact front the others close


def summary(runs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard error by checkpoint, duplicates at the end and milliseconds a trial."""
    runs = list(runs)
    checkpoints = [str(n) for n in CHECKPOINTS if all(str(n) in r["measures"] for r in runs)]
    values = np.array([[run["measures"][n] for n in checkpoints] for run in runs])
    times = [run["ms"] for run in runs if run["ms"] is not None]
    deviation = values.std(axis=0, ddof=1 if len(runs) > 1 else 0)  # of one run: 0
    return {
        "seeds": len(runs),
        "checkpoints": [int(n) for n in checkpoints],
        "mean": values.mean(axis=0).tolist(),
        "standard_error": (deviation / np.sqrt(len(runs))).tolist(),
        "duplicates": float(np.mean([list(run["duplicates"].values())[-1] for run in runs])),
        "ms": float(np.mean(times)) if times else None,
    }


def summaries(
    tasks: Sequence[Task], contenders: Sequence[Contender], store: Store, trials: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Summary by task and contender of all that is in the store."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for task in tasks:
        for contender in contenders:
            runs = store.runs(task.name, contender.name, trials)
            if runs:
                found.setdefault(task.name, {})[contender.name] = summary(runs.values())
    return found


def section(task: Task, titles: dict[str, str], results: dict[str, dict[str, Any]]) -> str:
    """One task's table in Markdown."""
    checkpoints = [n for n in CHECKPOINTS if all(n in r["checkpoints"] for r in results.values())]
    digits = 2 if task.larger_is_better else 3
    header = ["sampler", "seeds", *map(str, checkpoints), "duplicates", "ms / trial"]
    last = checkpoints[-1] if checkpoints else 0
    compared = 200 if 200 in checkpoints else last
    reference = results.get(REFERENCE) if task.larger_is_better else None
    if reference is not None:
        header.append(f"gap of NSGA-II closed at {compared}")
    rows = []
    for name, result in results.items():
        at = _by_checkpoint(result)
        row = [titles[name], str(result["seeds"])]
        spread = result["seeds"] > 1
        row += [
            f"{at[n][0]:.{digits}f}" + f" ± {at[n][1]:.{digits}f}" * spread for n in checkpoints
        ]
        row += [
            f"{result['duplicates']:.0f} of {last}",
            "" if result["ms"] is None else f"{result['ms']:.1f}",
        ]
        if reference is not None:
            gap = 100 - _by_checkpoint(reference)[compared][0]
            row.append(f"{100 * (at[compared][0] - 100 + gap) / gap:.0f} %")
        rows.append(row)
    return f"## {task.title}\n\n{task.explanation}\n\n{table(header, rows)}"


def _by_checkpoint(result: dict[str, Any]) -> dict[int, tuple[float, float]]:
    """Mean and standard error by number of evaluations."""
    numbers = zip(result["mean"], result["standard_error"], strict=True)
    return dict(zip(result["checkpoints"], numbers, strict=True))


def environments(
    tasks: Sequence[Task], contenders: Sequence[Contender], store: Store
) -> dict[str, Any]:
    """What all runs have in common, and for the rest all values that occurred."""
    seen = [
        environment
        for task in tasks
        for contender in contenders
        for environment in store.environments(task.name, contender.name)
    ]
    merged: dict[str, Any] = {}
    for key in dict.fromkeys(key for environment in seen for key in environment):
        values = dict.fromkeys(str(environment[key]) for environment in seen if key in environment)
        if key == "load":
            loads = [environment[key] for environment in seen if environment.get(key) is not None]
            merged[key] = f"{min(loads)} to {max(loads)}" if loads else None
        elif key != "command":
            merged[key] = ", ".join(values)
    return merged
