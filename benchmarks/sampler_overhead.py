"""What samplers cost: CPU and wall milliseconds a trial, by the number of trials before it.

A study is filled with finished trials of random parameters and values, then some more trials are
run with an objective that does nothing. Reported are their mean CPU time and their median wall time
(for disks stall now and then), without the first two, which read the history. NSGA-II
finds the filled trials marked with generations, as if it had made them. "With space": the sampler
knows the declared space, a chain of layers, and builds the network of each candidate.

    python benchmarks/sampler_overhead.py --out benchmarks/results/sampler_overhead.md
"""

from __future__ import annotations

import argparse
import gc
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import optuna
from contest.contenders import our_samplers
from environment import environment, table, write
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from optuna_nas.space import Choice, SearchSpace, conv, global_average_pooling, separable_conv

PEERS = {"Random": "RandomSampler", "NSGA-II": "NSGAIISampler", "TPE": "TPESampler"}
OPERATIONS = {
    "conv1": conv(8, 1),
    "conv3": conv(8, 3),
    "conv5": conv(8, 5),
    "separable3": separable_conv(8, 3),
    "separable5": separable_conv(8, 5),
}
SPACES = {"6 parameters x 5 choices": (6, 5), "28 parameters x 4 choices": (28, 4)}
WITH_SPACE = ", with space"
GENERATION = 50  # NSGA-II's default population


def samplers(parameters: int, choices: int) -> dict[str, Callable[[], BaseSampler]]:
    """Name -> a new sampler."""
    found: dict[str, Callable[[], BaseSampler]] = {}
    for title, make in our_samplers().values():
        found[title] = partial(make, None, 0)
    for title, make in our_samplers().values():
        found[f"{title}{WITH_SPACE}"] = partial(make, chain(parameters, choices), 0)
    for title, kind in PEERS.items():
        found[title] = partial(getattr(optuna.samplers, kind), seed=0)
    return found


def chain(parameters: int, choices: int) -> SearchSpace:
    """A space of so many layers, each one of the first operations."""
    operations = dict(list(OPERATIONS.items())[:choices])
    layers = [Choice(name, operations) for name in names(parameters)]
    return SearchSpace(
        "chain",
        input_shape=(16, 16, 3),
        classes=10,
        body=[conv(8, 3), *layers, global_average_pooling()],
    )


def names(parameters: int) -> list[str]:
    return [f"parameter{i:02d}" for i in range(parameters)]


def filled(storage: BaseStorage, count: int, parameters: int, choices: int, values: int) -> None:
    """A study named "study" with `count` random finished trials."""
    study = optuna.create_study(
        storage=storage, study_name="study", directions=["minimize"] * values
    )
    rng = np.random.default_rng(0)
    operations = tuple(OPERATIONS)[:choices]
    distributions = {name: CategoricalDistribution(operations) for name in names(parameters)}
    study.add_trials(
        [
            optuna.create_trial(
                params={name: operations[rng.integers(choices)] for name in distributions},
                distributions=dict(distributions),
                values=rng.random(values).tolist(),
                system_attrs={"NSGAIISampler:generation": number // GENERATION},
            )
            for number in range(count)
        ]
    )


class Race:
    """One sampler's study, run a few trials at a time, and what they cost."""

    def __init__(
        self, storage: BaseStorage, sampler: BaseSampler, parameters: int, choices: int
    ) -> None:
        self._study = optuna.load_study(study_name="study", storage=storage, sampler=sampler)
        self._names = names(parameters)
        self._operations = tuple(OPERATIONS)[:choices]
        self._rng = np.random.default_rng(1)
        self._cpu: list[float] = []
        self._wall: list[float] = []
        self._study.optimize(self._objective, n_trials=2)
        gc.collect()

    def run(self, trials: int) -> None:
        ends = [time.perf_counter()]
        cpu = time.process_time()
        self._study.optimize(
            self._objective,
            n_trials=trials,
            callbacks=[lambda *_: ends.append(time.perf_counter())],
        )
        self._cpu.append((time.process_time() - cpu) / trials)
        self._wall.extend(np.diff(ends).tolist())

    @property
    def cost(self) -> tuple[float, float]:
        """Mean CPU and median wall milliseconds of a trial."""
        return 1000 * float(np.mean(self._cpu)), 1000 * float(np.median(self._wall))

    def _objective(self, trial: optuna.Trial) -> list[float]:
        for name in self._names:
            trial.suggest_categorical(name, self._operations)
        return self._rng.random(len(self._study.directions)).tolist()


def storages(kind: str, original: Path) -> tuple[BaseStorage, Callable[[], BaseStorage]]:
    """A storage on disk to fill, and a function that opens a fresh copy of it."""
    copies = itertools.count()

    def opened(path: Path) -> BaseStorage:
        if kind == "SQLite":
            return RDBStorage(f"sqlite:///{path}")
        return JournalStorage(JournalFileBackend(str(path)))

    def copy() -> BaseStorage:
        return opened(Path(shutil.copy(original, original.with_suffix(f".{next(copies)}"))))

    return opened(original), copy


def in_memory(
    sizes: list[int], parameters: int, choices: int, values: int, trials: int
) -> Iterator[tuple[str, int, float, float]]:
    for size, (name, make) in itertools.product(sizes, samplers(parameters, choices).items()):
        storage = InMemoryStorage()
        filled(storage, size, parameters, choices, values)
        # TPE's cost grows with the history, up to seconds a trial: few trials tell it well enough.
        runs = max(trials * 100 // size, 3) if name == "TPE" else trials
        race = Race(storage, make(), parameters, choices)
        race.run(runs)
        yield name, size, *race.cost


def on_disk(
    kind: str, size: int, parameters: int, choices: int, values: int, trials: int
) -> Iterator[tuple[str, int, float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        original, copy = storages(kind, Path(folder) / "study")
        filled(original, size, parameters, choices, values)
        races = {
            name: Race(copy(), make(), parameters, choices)
            for name, make in samplers(parameters, choices).items()
            if not name.endswith(WITH_SPACE)  # what the space costs does not depend on the storage
        }
        for _ in range(trials):  # in turns, so that a slow spell of the disk hits all
            for race in races.values():
                race.run(1)
        for name, race in races.items():
            yield name, size, *race.cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--disk-size", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=100, help="measured trials in memory")
    parser.add_argument("--disk-trials", type=int, default=15, help="measured trials on disk")
    parser.add_argument("--out", help="write the report (.md) or the numbers (.json) here")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    results = []
    for (label, (parameters, choices)), values in itertools.product(SPACES.items(), (1, 2)):
        task = f"{label}, {values} objective{'s' if values > 1 else ''}"
        shape = parameters, choices, values
        measured = {
            "memory": in_memory(arguments.sizes, *shape, arguments.trials),
            "SQLite": on_disk("SQLite", arguments.disk_size, *shape, arguments.disk_trials),
            "journal": on_disk("journal", arguments.disk_size, *shape, arguments.disk_trials),
        }
        for storage, costs in measured.items():
            for sampler, size, cpu, wall in costs:
                results.append(
                    {
                        "task": task,
                        "storage": storage,
                        "trials": size,
                        "sampler": sampler,
                        "cpu_ms": cpu,
                        "wall_ms": wall,
                    }
                )
                print(f"{task} {storage} {size} {sampler}: {cpu:.2f} {wall:.2f}", flush=True)

    sections = []
    for task in dict.fromkeys(result["task"] for result in results):
        costs: dict[str, dict[str, str]] = {}  # sampler -> column -> cell
        for r in results:
            if r["task"] == task:
                cell = f"{r['cpu_ms']:.2f} / {r['wall_ms']:.2f}"
                costs.setdefault(r["sampler"], {})[f"{r['storage']} {r['trials']:,}"] = cell
        columns = list(dict.fromkeys(column for row in costs.values() for column in row))
        header = ["sampler", *columns]
        rows = [[name, *(row.get(column, "") for column in columns)] for name, row in costs.items()]
        sections.append(f"## {task}\n\n{table(header, rows)}")
    text = (
        "Marginal cost of a trial after so many: mean CPU / median wall milliseconds, Optuna's own "
        "share included (Random shows it).\n\n" + "\n\n".join(sections)
    )
    write(
        arguments.out,
        "Overhead of samplers",
        text,
        {"environment": environment("optuna", "numpy", "sqlalchemy"), "results": results},
    )


if __name__ == "__main__":
    main()
