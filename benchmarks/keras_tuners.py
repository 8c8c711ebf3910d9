"""`OptunaTuner` beside Keras Tuner's own tuners: accuracy against epochs and processor time.

All search the same declared space through the same `NASHyperModel`, on the same images, until so
many epochs are spent; the trial at the end of the budget is cut.

    python benchmarks/keras_tuners.py --runs digits.jsonl --out benchmarks/results/keras_tuners.md
    python benchmarks/keras_tuners.py --data mnist.npz --runs mnist.jsonl

Finished runs are kept in ``--runs``; the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from environment import environment, table, write

EPOCHS = 9  # of a trial, a power of Hyperband's factor
BUDGETS = (40, 80, 120)
BATCH = 64
EXAMPLES = 1_000, 400  # for training and for validation
TUNERS = (
    "OptunaTuner",
    "OptunaTuner/TPE",
    "RandomSearch",
    "BayesianOptimization",
    "Hyperband",
)


def load(path: str | None, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training, validation and test images in [0, 1], and their classes, split by the seed.

    Args:
        path: An ``.npz`` with x_train, y_train, x_test, y_test; None for scikit-learn's digits.
        seed: Of the split. The test images of an ``.npz`` are always the same.
    """
    rng = np.random.default_rng(seed)
    train, validation = EXAMPLES
    if path is None:
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        order = rng.permutation(len(x))
        x, y = x[order].reshape(-1, 8, 8, 1).astype("float32") / 16, y[order]
        parts = [slice(0, train), slice(train, train + validation), slice(train + validation, None)]
        return [(x[part], y[part]) for part in parts]
    with np.load(path) as file:
        order = rng.permutation(len(file["x_train"]))[: train + validation]
        x, y = file["x_train"][order], file["y_train"][order]
        x_test, y_test = file["x_test"], file["y_test"]
    images = [np.asarray(one, "float32")[..., None] / 255 for one in (x, x_test)]
    x, x_test = images
    return [(x[:train], y[:train]), (x[train:], y[train:]), (x_test, y_test)]


def space_of(shape: Sequence[int]) -> Any:
    """A chain with conditional decisions, a learning rate and an optimizer."""
    from optuna_nas import Choice, Float, Maybe, Repeat, SearchSpace
    from optuna_nas.space import conv, dense, global_average_pooling, max_pooling, separable_conv

    block = {
        "conv": conv(kernel=Choice("kernel", [1, 3])),
        "separable": separable_conv(),
        "wide": conv(filters=Choice("filters", [16, 32])),
        "pool": max_pooling(2),
    }
    return SearchSpace(
        "chain",
        input_shape=tuple(shape),
        classes=10,
        body=[
            conv(filters=Choice("stem", [4, 8, 16]), strides=2 if shape[0] > 16 else 1),
            Repeat("stage", 1, 3, Choice("block", block)),
            global_average_pooling(),
            Maybe("hidden", dense(Choice("units", [16, 32, 64]), activation="relu")),
        ],
        training=[
            Float("learning_rate", 1e-4, 1e-1, log=True),
            Choice("optimizer", ["adam", "sgd"]),
        ],
    )


def tuner_of(name: str, hypermodel: Any, seed: int, folder: str) -> Any:
    """A tuner, almost with its defaults; ours with the pruner of this project, and its sampler."""
    import keras_tuner

    where = {"directory": folder, "project_name": "project"}
    if name.startswith("OptunaTuner"):
        from optuna.samplers import TPESampler

        from keras_nas import OptunaTuner
        from optuna_nas.pruners import LearningCurvePruner
        from optuna_nas.samplers import PredictorSampler

        tpe = name.endswith("TPE")
        return OptunaTuner(
            hypermodel,
            objective="val_accuracy",
            max_trials=10_000,
            sampler=TPESampler(seed=seed)
            if tpe
            else PredictorSampler(space=hypermodel.space, seed=seed),
            pruner=LearningCurvePruner(EPOCHS),
            **where,
        )

    class Tuner(getattr(keras_tuner, name)):  # type: ignore[misc]
        def _configure_tensorboard_dir(self, *arguments: Any) -> None:
            """Keras Tuner wants TensorBoard for every trial, which TensorFlow brings no more."""

    # Keras Tuner takes 0 for none, and counts up from the seed, one by each value it draws:
    # searches with neighbouring seeds soon draw the same values.
    apart = int(np.random.SeedSequence(seed).generate_state(1)[0])
    settings = {"max_epochs": EPOCHS} if name == "Hyperband" else {"max_trials": 10_000}
    if name == "BayesianOptimization":
        # By default as many random trials as the whole budget allows.
        settings["num_initial_points"] = 5
    return Tuner(hypermodel, objective="val_accuracy", seed=apart, **settings, **where)


def run(name: str, data: str | None, seed: int, budgets: Sequence[int]) -> dict[str, Any]:
    """One search: where it stood whenever its best validation accuracy rose, and at the budgets."""
    import keras
    import keras_tuner
    import optuna

    from keras_nas import NASHyperModel, train

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    keras.utils.set_random_seed(seed)
    (x, y), validation, (x_test, y_test) = load(data, seed)

    class Spent(keras_tuner.errors.FatalError):
        """The budget is spent."""

    class Quick(NASHyperModel):
        """Trains as `keras_nas.train` does, several times as quickly as ``model.fit``."""

        def fit(self, hp: Any, model: Any, x: Any, y: Any, **fit: Any) -> dict[str, float]:
            callbacks = keras.callbacks.CallbackList(fit["callbacks"], model=model)
            model.stop_training = False
            first = fit.get("initial_epoch", 0)

            def on_epoch_end(epoch: int, values: Any) -> bool:
                callbacks.on_epoch_end(first + epoch - 1, dict(values))
                return bool(model.stop_training)

            callbacks.on_train_begin()
            result = train(
                model, x, y, x_val=validation[0], y_val=validation[1], batch_size=BATCH,
                epochs=fit["epochs"] - first, schedule="constant", seed=seed,
                on_epoch_end=on_epoch_end, **self.space.training(self.genotype(hp)),
            )  # fmt: skip
            return {"val_accuracy": max(result.curve["val_accuracy"], default=0.0)}

    class Watch(keras.callbacks.Callback):
        """Counts epochs, and tests every model that is the best by validation so far."""

        def __init__(self) -> None:
            super().__init__()
            self.started = time.process_time()
            self.epochs = self.trials = 0
            self.best, self.test, self.testing = -1.0, 0.0, 0.0
            self.steps: list[dict[str, float]] = []

        def __deepcopy__(self, _memo: Any) -> Any:
            return self  # Keras Tuner copies callbacks for each trial

        def on_train_begin(self, logs: Any = None) -> None:
            self.trials += 1

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.epochs += 1
            is_best = logs["val_accuracy"] > self.best
            if is_best:
                began = time.process_time()
                self.best = float(logs["val_accuracy"])
                self.test = accuracy(self.model, x_test, y_test)
                self.testing += time.process_time() - began
            if is_best or self.epochs in budgets:
                self.steps.append(
                    {
                        "epochs": self.epochs,
                        "seconds": time.process_time() - self.started - self.testing,
                        "trials": self.trials,
                        "validation": self.best,
                        "test": self.test,
                    }
                )
            if self.epochs >= budgets[-1]:
                raise Spent

    gc.freeze()  # Keras Tuner collects garbage twice a trial, through all of TensorFlow
    with tempfile.TemporaryDirectory() as folder:
        hypermodel = Quick(space_of(x.shape[1:]))
        watch = Watch()
        # Hyperband comes to an end; then another one begins, with another seed.
        for round_ in itertools.count():
            tuner = tuner_of(name, hypermodel, seed + 1000 * round_, f"{folder}/{round_}")
            try:
                tuner.search(x, y, epochs=EPOCHS, verbose=0, callbacks=[watch])
            except Spent:
                break
    return {"tuner": name, "seed": seed, "steps": watch.steps}


def accuracy(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    parts = (model(x[i : i + 1000], training=False) for i in range(0, len(x), 1000))
    return float((np.concatenate([np.asarray(part) for part in parts]).argmax(1) == y).mean())


def at(one: dict[str, Any], budget: int) -> dict[str, float]:
    """Where a search stood when so many epochs were spent."""
    return [step for step in one["steps"] if step["epochs"] <= budget][-1]


def epochs_to(one: dict[str, Any], goal: float, budget: int) -> float:
    """Epochs until the validation accuracy reached a goal; the budget where it did not."""
    reached = (step["epochs"] for step in one["steps"] if step["validation"] >= goal)
    return min(next(reached, budget), budget)


def report(runs: list[dict[str, Any]], budgets: Sequence[int], goal: float) -> str:
    """A Markdown table: means with standard errors over the seeds."""
    rows = []
    for name in TUNERS:
        mine = [one for one in runs if one["tuner"] == name]
        if not mine:
            continue
        for budget in budgets:
            steps = [at(one, budget) for one in mine]
            rows.append(
                [
                    name,
                    str(budget),
                    mean([100 * step["validation"] for step in steps]),
                    mean([100 * step["test"] for step in steps]),
                    f"{np.mean([step['trials'] for step in steps]):.1f}",
                    f"{np.mean([step['seconds'] for step in steps]):.0f}",
                    mean([epochs_to(one, goal, budget) for one in mine])
                    if budget == budgets[-1]
                    else "",
                ]
            )
    header = ["tuner", "epochs", "validation %", "test %", "trials", "CPU s"]
    return table([*header, f"epochs to {100 * goal:.0f} %"], rows)


def mean(values: list[float]) -> str:
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.2f} ± {error:.2f}"


def paired(runs: list[dict[str, Any]], budgets: Sequence[int]) -> str:
    """Differences of the validation accuracy to ours, seed by seed."""
    by_seed: dict[tuple[str, int], dict[str, Any]] = {(o["tuner"], o["seed"]): o for o in runs}
    rows = []
    for name in TUNERS[1:]:
        seeds = [s for n, s in by_seed if n == name and (TUNERS[0], s) in by_seed]
        if seeds:
            pairs = [(by_seed[TUNERS[0], s], by_seed[name, s]) for s in seeds]
            differences = [
                [100 * (at(ours, b)[key] - at(other, b)[key]) for ours, other in pairs]
                for b in budgets
                for key in ("validation", "test")
            ]
            rows.append([name, *map(mean, differences)])
    header = ["ours minus"] + [f"{key} at {b}" for b in budgets for key in ("validation", "test")]
    return table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="an .npz of images; scikit-learn's digits by default")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tuners", nargs="+", default=list(TUNERS), choices=TUNERS)
    parser.add_argument("--goal", type=float, default=0.97, help="validation accuracy to reach")
    parser.add_argument("--runs", help="JSON lines of finished runs, read and continued")
    parser.add_argument("--quick", action="store_true", help="one seed, 20 epochs")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    budgets = (20,) if arguments.quick else BUDGETS
    seeds = 1 if arguments.quick else arguments.seeds
    path = Path(arguments.runs) if arguments.runs else None
    lines = path.read_text("utf-8").splitlines() if path and path.exists() else []
    runs = [json.loads(line) for line in lines]
    finished = {(one["tuner"], one["seed"]) for one in runs}
    for seed in range(seeds):
        for name in arguments.tuners:
            if (name, seed) in finished:
                continue
            runs.append(run(name, arguments.data, seed, budgets))
            print(name, seed, runs[-1]["steps"][-1], flush=True)
            if path:
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(runs[-1]) + "\n")
    data = Path(arguments.data).stem if arguments.data else "digits"
    text = (
        f"{data}: {EXAMPLES[0]} images to train with, {EXAMPLES[1]} to validate with, trials of "
        f"{EPOCHS} epochs; {len({one['seed'] for one in runs})} seeds, means with standard errors. "
        "The model is the one with the best validation accuracy so far.\n\n"
        f"{report(runs, budgets, arguments.goal)}\n\n"
        f"In percentage points, seed by seed:\n\n{paired(runs, budgets)}"
    )
    surroundings = environment("keras-tuner", "optuna", "keras", "tensorflow-cpu", "numpy")
    title = "OptunaTuner beside Keras Tuner's own"
    write(arguments.out, title, text, {"environment": surroundings, "runs": runs})


if __name__ == "__main__":
    main()
