"""Learning curves that anyone can record again: scikit-learn's models on the data it brings along.

Every task is one kind of model on one data set, its runs draw their hyperparameters at random:
log-uniform learning rates over five powers of ten, so that some diverge and some learn nothing;
networks of up to four layers whose saturating units take off late; boosted trees that overfit.
Scores are of held-out examples.

    python benchmarks/learning_curves/record.py --out recorded_curves.npz
    python benchmarks/learning_curves/record.py --mnist mnist.npz --out recorded_curves.npz

The file is in the form of `learning_curves.data`: ``<data set>_<model>__<metric>``, shape (runs,
epochs), NaN from where a run diverged.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

Array = NDArray[np.float64]
Scores = dict[str, float]  # by metric


@dataclass(frozen=True, eq=False)
class Data:
    """A data set cut into two halves.

    Attributes:
        x_train, x_valid: Shape ``(n, features)``, standardised.
        y_train, y_valid: Shape ``(n,)``; of a regression standardised, too.
    """

    x_train: Array
    x_valid: Array
    y_train: Array
    y_valid: Array

    @classmethod
    def split(cls, x: Array, y: Array) -> Data:
        parts = train_test_split(x, y, test_size=0.5, random_state=0)
        scaler = StandardScaler().fit(parts[0])
        return cls(scaler.transform(parts[0]), scaler.transform(parts[1]), parts[2], parts[3])

    @classmethod
    def bundled(cls, name: str) -> Data:
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        if name == "diabetes":
            y = (y - y.mean()) / y.std()
        return cls.split(x, y)

    @classmethod
    def mnist(cls, path: Path) -> Data:
        """The first 2,000 images at a quarter of their resolution."""
        with np.load(path) as file:
            x = file["x_train"][:2000, ::2, ::2].reshape(2000, -1).astype(float)
            return cls.split(x / 255.0, file["y_train"][:2000].astype(int))

    @property
    def classes(self) -> NDArray[np.int64]:
        return np.unique(self.y_train)


def judged(model: Any, data: Data) -> Scores:
    """Accuracy and log loss of a classifier on what was held out."""
    chances = model.predict_proba(data.x_valid)
    return {
        "val_accuracy": float(np.mean(data.classes[chances.argmax(axis=1)] == data.y_valid)),
        "valid_loss": float(log_loss(data.y_valid, chances, labels=data.classes)),
    }


def perceptron(rng: np.random.Generator) -> dict[str, Any]:
    """Hyperparameters of a network."""
    width, depth = int(2 ** rng.uniform(2, 6.5)), int(rng.integers(1, 5))
    return {
        "hidden_layer_sizes": (width,) * depth,
        "activation": str(rng.choice(["relu", "tanh", "logistic"])),
        "solver": str(rng.choice(["sgd", "adam"])),
        "learning_rate_init": float(10 ** rng.uniform(-5, 0)),
        "alpha": float(10 ** rng.uniform(-6, 0)),
        "batch_size": int(rng.choice([32, 64, 128])),
        "random_state": int(rng.integers(2**31)),
    }


def classifying_network(data: Data, rng: np.random.Generator, epochs: int) -> Iterator[Scores]:
    model = MLPClassifier(**perceptron(rng))
    for _ in range(epochs):
        model.partial_fit(data.x_train, data.y_train, classes=data.classes)
        yield judged(model, data)


def regressing_network(data: Data, rng: np.random.Generator, epochs: int) -> Iterator[Scores]:
    model = MLPRegressor(**perceptron(rng))
    for _ in range(epochs):
        model.partial_fit(data.x_train, data.y_train)
        yield {"valid_loss": float(np.mean((model.predict(data.x_valid) - data.y_valid) ** 2))}


def linear(data: Data, rng: np.random.Generator, epochs: int) -> Iterator[Scores]:
    model = SGDClassifier(
        loss="log_loss",
        penalty=str(rng.choice(["l1", "l2", "elasticnet"])),
        alpha=float(10 ** rng.uniform(-6, 0)),
        learning_rate=str(rng.choice(["constant", "invscaling"])),
        eta0=float(10 ** rng.uniform(-6, 0)),
        random_state=int(rng.integers(2**31)),
    )
    for _ in range(epochs):
        model.partial_fit(data.x_train, data.y_train, classes=data.classes)
        yield judged(model, data)


def boosting(rng: np.random.Generator, stages: int) -> dict[str, Any]:
    """Hyperparameters of boosted trees."""
    return {
        "n_estimators": stages,
        "learning_rate": float(10 ** rng.uniform(-3, 0)),
        "max_depth": int(rng.integers(1, 6)),
        "subsample": float(rng.uniform(0.3, 1.0)),
        "max_features": float(rng.uniform(0.1, 1.0)),
        "min_samples_leaf": int(2 ** rng.uniform(0, 5)),
        "random_state": int(rng.integers(2**31)),
    }


def classifying_trees(data: Data, rng: np.random.Generator, epochs: int) -> Iterator[Scores]:
    model = GradientBoostingClassifier(**boosting(rng, epochs)).fit(data.x_train, data.y_train)
    for chances in model.staged_predict_proba(data.x_valid):
        yield {"valid_loss": float(log_loss(data.y_valid, chances, labels=data.classes))}


def regressing_trees(data: Data, rng: np.random.Generator, epochs: int) -> Iterator[Scores]:
    model = GradientBoostingRegressor(**boosting(rng, epochs)).fit(data.x_train, data.y_train)
    for predicted in model.staged_predict(data.x_valid):
        yield {"valid_loss": float(np.mean((predicted - data.y_valid) ** 2))}


Training = Callable[[Data, np.random.Generator, int], Iterator[Scores]]
# Name -> what it is trained on, how, and its epochs.
TASKS: Mapping[str, tuple[Callable[[], Data], Training, int]] = {
    "digits_mlp": (partial(Data.bundled, "digits"), classifying_network, 40),
    "digits_sgd": (partial(Data.bundled, "digits"), linear, 30),
    "breast_cancer_mlp": (partial(Data.bundled, "breast_cancer"), classifying_network, 50),
    "breast_cancer_boosting": (partial(Data.bundled, "breast_cancer"), classifying_trees, 80),
    "diabetes_mlp": (partial(Data.bundled, "diabetes"), regressing_network, 60),
    "diabetes_boosting": (partial(Data.bundled, "diabetes"), regressing_trees, 100),
}
QUICK = "digits_sgd"
RUNS = 240


def record(
    names: Iterable[str], *, runs: int = RUNS, mnist: Path | None = None
) -> dict[str, Array]:
    """Train so many models of every named task.

    Args:
        names: Of `TASKS`.
        runs: Models a task.
        mnist: `mnist.npz`, for one task more.

    Returns:
        Arrays (runs, epochs) by task and metric.
    """
    tasks = {name: TASKS[name] for name in names}
    if mnist is not None:
        tasks["mnist_mlp"] = (partial(Data.mnist, mnist), classifying_network, 40)
    arrays: dict[str, Array] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of runs that diverge or have not converged
        for name, (load, training, epochs) in tasks.items():
            tables = trained(load(), training, runs=runs, epochs=epochs)
            arrays |= {f"{name}__{metric}": table for metric, table in tables.items()}
            print(f"recorded {name}", file=sys.stderr, flush=True)
    return arrays


def trained(data: Data, training: Training, *, runs: int, epochs: int) -> dict[str, Array]:
    """Learning curves of one task; one array (runs, epochs) a metric."""
    curves: dict[str, Array] = {}
    for run in range(runs):
        scores = training(data, np.random.default_rng([0, run]), epochs)
        # A ValueError is what scikit-learn raises when weights have overflown.
        with suppress(ValueError):
            for epoch, of_epoch in enumerate(scores):
                for metric, value in of_epoch.items():
                    table = curves.setdefault(metric, np.full((runs, epochs), np.nan))
                    table[run, epoch] = value
    return curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=RUNS, help="of every task")
    parser.add_argument("--mnist", type=Path, help="mnist.npz, for a task more")
    arguments = parser.parse_args()
    arrays = record(TASKS, runs=arguments.runs, mnist=arguments.mnist)
    singles: dict[str, Any] = {name: table.astype(np.float32) for name, table in arrays.items()}
    np.savez_compressed(arguments.out, **singles)


if __name__ == "__main__":
    main()
