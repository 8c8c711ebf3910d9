"""What samplers cost: CPU and wall milliseconds a trial, by the number of trials before it.

A study is filled with finished trials of random parameters and values, then some more trials are
run with an objective that does nothing. Reported are their mean CPU time and their median wall time
(for disks stall now and then), without the first two, which read the history. NSGA-II
finds the filled trials marked with generations, as if it had made them.

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
from pathlib import Path

import numpy as np
import optuna
from environment import environment, table, write
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from optuna_nas.samplers import RegularizedEvolutionSampler

SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "ours": lambda: RegularizedEvolutionSampler(seed=0),
    "Random": lambda: RandomSampler(seed=0),
    "NSGA-II": lambda: NSGAIISampler(seed=0),
    "TPE": lambda: TPESampler(seed=0),
}
SPACES = {"6 parameters x 5 choices": (6, 5), "28 parameters x 4 choices": (28, 4)}
GENERATION = 50  # NSGA-II's default population


def filled(storage: BaseStorage, count: int, parameters: int, choices: int, values: int) -> None:
    """A study named "study" with `count` random finished trials."""
    study = optuna.create_study(
        storage=storage, study_name="study", directions=["minimize"] * values
    )
    rng = np.random.default_rng(0)
    distributions = {
        f"parameter{i:02d}": CategoricalDistribution(range(choices)) for i in range(parameters)
    }
    study.add_trials(
        [
            optuna.create_trial(
                params={name: int(rng.integers(choices)) for name in distributions},
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
        self._names = [f"parameter{i:02d}" for i in range(parameters)]
        self._choices = choices
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
            trial.suggest_categorical(name, range(self._choices))
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
    for size, (name, make) in itertools.product(sizes, SAMPLERS.items()):
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
        races = {name: Race(copy(), make(), parameters, choices) for name, make in SAMPLERS.items()}
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
        rows = []
        for name in SAMPLERS:
            own = [r for r in results if r["task"] == task and r["sampler"] == name]
            rows.append([name, *(f"{r['cpu_ms']:.2f} / {r['wall_ms']:.2f}" for r in own)])
        header = ["sampler"]
        header += [f"{r['storage']} {r['trials']:,}" for r in own]
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
