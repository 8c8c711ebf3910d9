"""Searches killed at random moments, again and again: what is lost, and what stays behind.

    python benchmarks/kill_and_resume.py --kills 20 --out benchmarks/results

Each time the same command is started, killed with SIGKILL after a random time (during start-up,
training, measuring, storing), and the study looked at: every trial that was finished before must be
there with its values, and its worker processes must end by themselves. A last run is left in peace;
then the study has as many finished trials as were asked for, and none is running.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from optuna.trial import TrialState

from keras_nas.provenance import environment
from keras_nas.recovery import finished
from keras_nas.run_folder import RunFolder, StorageError


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=15.0, help="seconds before a kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for kill_and_resume.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = report(arguments.kills, arguments.longest, arguments.seed, Path(folder) / "run")
    print(text)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "kill_and_resume.md").write_text(text, encoding="utf-8")


def report(kills: int, longest: float, seed: int, run: Path) -> str:
    rng = random.Random(seed)
    kept: dict[int, list[float]] = {}
    lost, orphans = 0, 0
    moments: Counter[str] = Counter()
    for kill in range(kills):
        process = start(run, trials=100_000)
        time.sleep(rng.uniform(0.0, longest))
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=10)
        orphans += len(alive)
        now, running = state(run)
        lost += sum(now.get(number) != values for number, values in kept.items())
        moments["while trials were running" if running else "between or before trials"] += 1
        kept = now
        print(f"kill {kill + 1}: {len(kept)} finished, {running} were running", file=sys.stderr)
    asked = len(kept) + 3
    last = start(run, trials=asked)
    code = last.wait()
    now, running = state(run)
    lost += sum(now.get(number) != values for number, values in kept.items())
    study = RunFolder(run).existing_study()
    retried = sum("optuna_nas:retry_of" in trial.user_attrs for trial in study.trials)
    where = environment()
    return "\n".join(
        [
            "# Searches killed at random moments",
            "",
            f"{kills} kills after 0 to {longest:g} s, seed {seed}; iris, 2 jobs.",
            "",
            "| | |",
            "|---|---|",
            f"| killed while trials were running | {moments['while trials were running']} |",
            f"| finished trials before the last run | {len(kept)} |",
            f"| finished trials lost or changed | {lost} |",
            f"| worker processes left behind | {orphans} |",
            f"| trials tried again after they were lost | {retried} |",
            f"| exit code of the last run, left in peace | {code} |",
            f"| finished after it, of {asked} asked for | {len(finished(study))} |",
            f"| still running after it | {running} |",
            "",
            f"{where['cpu']}, {where['cores']} cores, {where['os']}, Python {where['python']}, "
            + ", ".join(f"{name} {version}" for name, version in where["versions"].items()),
            "",
        ]
    )


def start(run: Path, *, trials: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "keras_nas.cli", "search", "--data", "iris", "--epochs", "2",
            "--jobs", "2", "--quiet", "--finalists", "1", "--trials", str(trials),
            "--out", str(run),
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def state(run: Path) -> tuple[dict[int, list[float]], int]:
    """Values of the complete trials, and how many are running."""
    try:
        trials = RunFolder(run).existing_study().trials
    except StorageError:  # killed before there was a study
        return {}, 0
    complete = {t.number: t.values for t in trials if t.state == TrialState.COMPLETE}
    return complete, sum(t.state == TrialState.RUNNING for t in trials)


if __name__ == "__main__":
    main()
