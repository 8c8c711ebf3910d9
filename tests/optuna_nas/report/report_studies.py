"""Synthetic studies with realistic records, for tests of the report and for looking at it.

``python tests/optuna_nas/report/report_studies.py FOLDER`` writes an example
of every kind of page there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from optuna_nas._optuna import ENVIRONMENT, FAILURE, OBJECTIVES, RECORD, TrialRecord, bind_space
from optuna_nas.report import ModelInfo, write_report
from optuna_nas.space import SearchSpace
from optuna_nas.spaces import chain_cnn, nas_bench_201

START = datetime(2026, 1, 5, 9, 30)
SECONDS = 7.5
REASONS = (
    "out of memory: the worker process was ended by the system",
    "loss is not finite after epoch 2",
)


def new_study(*directions: str, name: str = "example") -> optuna.Study:
    """An empty study in memory."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return optuna.create_study(study_name=name, directions=directions)
    finally:
        optuna.logging.set_verbosity(level)


def suggested(space: SearchSpace, rng: np.random.Generator) -> tuple[dict, dict]:
    """Parameters and distributions of a random genotype, as a trial would hold them."""
    sampler = optuna.samplers.RandomSampler(seed=int(rng.integers(2**31)))
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler)
    optuna.logging.set_verbosity(level)
    trial = study.ask()
    space.suggest(trial)
    return trial.params, trial.distributions


def profile(ms: float, rng: np.random.Generator) -> dict:
    """The dictionary of a latency profile with a dozen nodes."""
    kinds = ["Conv"] * 7 + ["AveragePool", "Add", "Add", "GlobalAveragePool", "Gemm"]
    weights = rng.dirichlet(np.linspace(2, 1, len(kinds)))
    return {
        "median_ms": ms,
        "p90_ms": ms * 1.08,
        "min_ms": ms * 0.97,
        "ci_ms": [ms * 0.99, ms * 1.012],
        "runs": 600,
        "operations": [
            {"name": f"{kind.lower()}_{i}", "kind": kind, "share": float(w), "ms": float(w) * ms}
            for i, (kind, w) in enumerate(zip(kinds, weights, strict=True))
        ],
        "provenance": {"onnxruntime": "1.32.0", "provider": "CPUExecutionProvider", "threads": 1},
    }


def record_for(space: SearchSpace, params: dict, rng: np.random.Generator) -> TrialRecord:
    """What training and measuring the architecture might have found."""
    graph = space.graph(space.genotype(params))
    final = 1 - 0.35 * np.exp(-graph.macs / 4e5) - 0.012 - 0.02 * rng.random()
    epochs = np.arange(1, int(rng.integers(4, 13)) + 1)
    curve = final - (final - 0.25) * np.exp(-epochs / 2) + 0.01 * rng.normal(size=len(epochs))
    curve[-1] = final
    latency = 0.04 + graph.macs / 9e6 * (1 + 0.1 * rng.random())
    train = float(0.35 * len(epochs))
    return TrialRecord(
        canonical_id=graph.canonical_id,
        params=graph.params,
        macs=graph.macs,
        peak_activation_bytes=graph.peak_activation_bytes,
        accuracy=float(final),
        latency_ms=float(latency),
        latency=profile(float(latency), rng),
        curve={
            "val_accuracy": [float(v) for v in curve],
            "accuracy": [float(min(v + 0.02, 1.0)) for v in curve],
        },
        seconds={"latency": 0.6, "train": train, "total": train + 1.4},
    )


def value_of(record: TrialRecord, objective: str) -> float:
    return float(getattr(record, objective))


def searched(
    objectives: Sequence[str],
    *,
    trials: int = 80,
    space: SearchSpace | None = None,
    seed: int = 0,
    max_latency_ms: float | None = None,
    attributes: bool = True,
) -> optuna.Study:
    """A study as a search leaves it: complete, pruned, failed and infeasible trials."""
    space = space or chain_cnn()
    rng = np.random.default_rng(seed)
    directions = ["maximize" if name == "accuracy" else "minimize" for name in objectives]
    study = new_study(*directions, name="digits search")
    if attributes:
        bind_space(study, space)
        study.set_user_attr(OBJECTIVES, list(objectives))
        study.set_user_attr(
            ENVIRONMENT,
            {
                "versions": {"python": "3.11.9", "optuna": "5.0.0", "keras": "3.15.1"},
                "cpu": "Example CPU 2.4 GHz",
                "cores": 2,
                "seed": 0,
                "command": "keras-nas search --data digits --trials 80",
            },
        )
    for number in range(trials):
        params, distributions = suggested(space, rng)
        record = record_for(space, params, rng)
        attrs: dict = {RECORD: record.to_dict()}
        state, values, system = TrialState.COMPLETE, [], {}
        if number % 11 == 10:
            state = TrialState.FAIL
            attrs = {FAILURE: REASONS[number % 2]}
        elif max_latency_ms is not None and record.latency_ms > max_latency_ms:
            state = TrialState.PRUNED
            kept = ("canonical_id", "params", "macs", "latency_ms")
            attrs = {RECORD: {key: attrs[RECORD][key] for key in kept}}
            system = {"constraints:latency_ms": record.latency_ms - max_latency_ms}
        elif number % 13 == 12:
            state = TrialState.PRUNED
            attrs[RECORD]["predicted_value"] = [value_of(record, name) for name in objectives]
        else:
            values = [value_of(record, name) for name in objectives]
        study.add_trial(
            timed(
                create_trial(
                    state=state,
                    params=params,
                    distributions=distributions,
                    values=values or None,
                    user_attrs=attrs,
                    system_attrs=system,
                ),
                number,
            )
        )
    return study


def timed(trial: FrozenTrial, number: int) -> FrozenTrial:
    """The trial with times, one after another."""
    trial.datetime_start = START + timedelta(seconds=SECONDS * number)
    trial.datetime_complete = trial.datetime_start + timedelta(seconds=SECONDS - 0.5)
    return trial


def empty() -> optuna.Study:
    return new_study("maximize", "minimize", name="empty")


def single() -> optuna.Study:
    return searched(["accuracy", "latency_ms"], trials=1)


def only_failed() -> optuna.Study:
    study = new_study("maximize", name="failed")
    for number in range(4):
        attrs = {FAILURE: REASONS[number % 2]} if number else {}
        study.add_trial(timed(create_trial(state=TrialState.FAIL, user_attrs=attrs), number))
    return study


def only_pruned() -> optuna.Study:
    return searched(["accuracy", "latency_ms"], trials=8, max_latency_ms=0.0)


def plain_optuna(trials: int = 60) -> optuna.Study:
    """A study without anything of this project, with a conditional parameter."""
    rng = np.random.default_rng(1)
    study = new_study("minimize", name="plain")
    for number in range(trials):
        kind = str(rng.choice(["a", "b"]))
        params: dict = {"kind": kind, "x": float(rng.uniform(-5, 5))}
        distributions: dict = {
            "kind": CategoricalDistribution(["a", "b"]),
            "x": FloatDistribution(-5, 5),
        }
        if kind == "a":
            params["n"] = int(rng.integers(1, 9))
            distributions["n"] = IntDistribution(1, 8)
        value = params["x"] ** 2 + params.get("n", 4)
        trial = create_trial(params=params, distributions=distributions, value=value)
        study.add_trial(timed(trial, number))
    return study


def running_only() -> optuna.Study:
    study = new_study("maximize")
    study.ask()
    return study


def four_objectives() -> optuna.Study:
    return searched(["accuracy", "latency_ms", "params", "macs"], trials=30)


EXAMPLES: dict[str, Callable[[], optuna.Study]] = {
    "two_objectives": lambda: searched(["accuracy", "latency_ms"], max_latency_ms=0.25),
    "one_objective": lambda: searched(["accuracy"]),
    "three_objectives": lambda: searched(["accuracy", "latency_ms", "params"]),
    "four_objectives": four_objectives,
    "nas_bench_201": lambda: searched(["accuracy", "latency_ms"], trials=25, space=nas_bench_201()),
    "empty": empty,
    "single": single,
    "only_failed": only_failed,
    "only_pruned": only_pruned,
    "plain_optuna": plain_optuna,
    "running_only": running_only,
}


PROOF = {
    "max_abs_difference": 2.4e-6,
    "agreement": 1.0,
    "samples": 360,
    "tolerance": 1e-4,
    "passed": True,
}
DATA = {
    "name": "digits",
    "input_shape": [8, 8, 1],
    "classes": 10,
    "class_names": [str(digit) for digit in range(10)],
    "rows": {"train": 1077, "val": 360, "test": 360},
}


def delivered(folder: Path) -> ModelInfo:
    """What a caller knows of the best model, with files that exist."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in (("best.keras", 190_000), ("best.onnx", 81_000)):
        (folder / name).write_bytes(bytes(size))
    return {
        "test_accuracy": 0.9861,
        "proof": PROOF,
        "files": {
            "Keras model": folder / "best.keras",
            "ONNX model, preprocessing inside": folder / "best.onnx",
        },
    }


if __name__ == "__main__":
    for kind, make in EXAMPLES.items():
        place = Path(sys.argv[1]) / kind
        if kind == "two_objectives":
            written = write_report(
                make(), place, data=DATA, model=delivered(place), space=chain_cnn()
            )
        else:
            written = write_report(make(), place)
        print(written, f"{written.stat().st_size / 1e6:.2f} MB")
