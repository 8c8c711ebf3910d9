"""Runs of one contender on one task, a line a seed in a file that can be continued."""

from __future__ import annotations

import functools
import gc
import json
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from environment import environment

from contest.contenders import Contender
from contest.task import CHECKPOINTS, Params, Task
from optuna_nas.search.encoding import Domains, SpaceEncoding
from optuna_nas.space import SearchSpace
from optuna_nas.space.decisions import Value

# Of these first seeds the time is taken, and they share nothing with others; later ones share what
# is computed of an architecture, which a hundred searches would compute a hundred times.
TIMED_SEEDS = 3
KEPT = 20_000  # architectures


def run(
    task: Task, contender: Contender, space: SearchSpace, seed: int, trials: int
) -> dict[str, Any]:
    """One search.

    Returns:
        ``seed``, ``trials``, ``measures`` and ``duplicates`` by checkpoint, ``ms`` (processor time
        a trial of asking and telling) and ``digest`` (of the architectures, equal where two runs
        are).
    """
    problem = task.problem(seed)
    searcher = contender.make(task, space, seed)
    observations, digest = [], 0
    measures: dict[str, float] = {}
    duplicates: dict[str, int] = {}
    gc.collect()
    spent = 0.0
    for number in range(1, trials + 1):
        start = time.process_time()
        params = searcher.ask()
        spent += time.process_time() - start
        observation = problem.evaluate(params)
        start = time.process_time()
        searcher.tell(observation)
        spent += time.process_time() - start
        observations.append(observation)
        digest = zlib.crc32(repr(sorted(params.items())).encode(), digest)
        if number in CHECKPOINTS or number == trials:
            measures[str(number)] = problem.measure(observations)
            duplicates[str(number)] = number - len({o.architecture for o in observations})
    return {
        "seed": seed,
        "trials": trials,
        "measures": measures,
        "duplicates": duplicates,
        "ms": 1000 * spent / trials,
        "digest": f"{digest:08x}",
    }


@contextmanager
def shared(space: SearchSpace) -> Iterator[SearchSpace]:
    """Keep the graph and the features of every architecture, for all seeds."""
    space._graph = functools.lru_cache(KEPT)(space._build_graph)
    describe = SpaceEncoding.describe
    features: dict[frozenset[tuple[str, Value]], Mapping[str, float]] = {}

    def described(encoding: SpaceEncoding, params: Params, domains: Domains) -> Mapping[str, float]:
        if encoding._space is not space:
            return describe(encoding, params, domains)
        # The domains are the same throughout: those of the space.
        key = frozenset(params.items())
        if key not in features:
            if len(features) >= KEPT:
                features.clear()
            features[key] = describe(encoding, params, domains)
        return features[key]

    SpaceEncoding.describe = described  # type: ignore[method-assign]
    try:
        yield space
    finally:
        SpaceEncoding.describe = describe  # type: ignore[method-assign]


class Store:
    """A folder with one file of JSON lines for each task and contender."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def runs(self, task: str, contender: str, trials: int) -> dict[int, dict[str, Any]]:
        """Runs of at least so many trials, by seed."""
        lines = self._lines(task, contender)
        return {line["seed"]: line for line in lines if line.get("trials", 0) >= trials}

    def environments(self, task: str, contender: str) -> list[dict[str, Any]]:
        """What the runs were made on."""
        lines = self._lines(task, contender)
        return [line["environment"] for line in lines if "environment" in line]

    def append(self, task: str, contender: str, line: dict[str, Any]) -> None:
        # The line break comes first, so that a line cut short by a kill spoils no other.
        with self._path(task, contender).open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(line))

    def _path(self, task: str, contender: str) -> Path:
        return self._folder / f"{task}__{contender}.jsonl"

    def _lines(self, task: str, contender: str) -> list[dict[str, Any]]:
        path = self._path(task, contender)
        if not path.exists():
            return []
        lines = []
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:  # a run that was killed while it wrote
                continue
        return lines


def complete(task: Task, contender: Contender, store: Store, seeds: int, trials: int) -> None:
    """Run the seeds that are not in the store yet."""
    known = store.runs(task.name, contender.name, trials)
    missing = [seed for seed in range(seeds) if seed not in known]
    if not missing:
        return
    made_on = environment("optuna", "numpy", *contender.needs)
    store.append(task.name, contender.name, {"environment": made_on})
    with shared(task.space()) as common:
        for seed in missing:
            timed = seed < TIMED_SEEDS
            line = run(task, contender, task.space() if timed else common, seed, trials)
            if not timed:
                line["ms"] = None
            store.append(task.name, contender.name, line)
            print(f"{task.name} {contender.name} {seed}: {line['measures']}", flush=True)
