"""What is done in a worker process: timing an architecture, and training it.

A job's first argument is its line to the director. Keras is imported by those that need it.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keras_nas.custom import Registrations, restore
from keras_nas.data.dataset import Dataset, Features, Labels
from keras_nas.isolation import Channel
from optuna_nas.errors import UnsupportedOperationError
from optuna_nas.export import Preprocessing
from optuna_nas.fidelity import Fidelity
from optuna_nas.graph import ArchitectureGraph

if TYPE_CHECKING:
    from optuna_nas.profiling import LatencyProfile


@dataclass(frozen=True)
class Training:
    """What a training gave.

    Args:
        curve: Values by name ("loss", "accuracy", "val_loss", "val_accuracy"), one an epoch.
        kept: Which of them, counted from 0, belongs to the weights that were kept.
        diverged: The loss was no finite number, and the model is of no use.
        seconds: Wall time of building and training, without what a fresh process needs to start.
    """

    curve: Mapping[str, list[float]]
    kept: int
    diverged: bool
    seconds: float

    def value(self, name: str) -> float:
        """The value of a curve that belongs to the weights that were kept."""
        return float(self.curve[name][self.kept])


@dataclass(frozen=True)
class Prepared:
    """Data as a network takes them: preprocessed, in memory."""

    x_train: Features
    y_train: Labels
    x_val: Features
    y_val: Labels


def prepare(_channel: Channel, registered: Registrations, threads: int | None) -> None:
    """Get a fresh process ready, while nobody waits for it: the slow imports, a user's blocks."""
    import keras_nas.training as training

    restore(registered)
    training.configure(threads=threads)
    # What was imported stays; looking through it at every collection would cost each candidate
    # tenths of a second.
    gc.collect()
    gc.freeze()


def time_anchor(_channel: Channel, device: Sequence[str] | None) -> float:
    """Measure the anchor network, in milliseconds, here or on a device."""
    from optuna_nas.profiling import anchor_reference_ms

    return anchor_reference_ms(command=device)


def time_graph(
    _channel: Channel,
    graph_json: str,
    preprocessing: Mapping[str, Any],
    reference_ms: float,
    budget_seconds: float,
    device: Sequence[str] | None,
) -> dict[str, Any]:
    """Measure an architecture with random weights, as it would be exported."""
    from optuna_nas.profiling import latency_of_graph

    graph = ArchitectureGraph.from_json(graph_json)
    before = Preprocessing.from_dict(preprocessing)
    options: dict[str, Any] = {
        "anchor_reference_ms": reference_ms,
        "budget_seconds": budget_seconds,
    }
    try:
        profile = latency_of_graph(
            graph, preprocessing=before, softmax=True, command=device, **options
        )
    except UnsupportedOperationError:
        # A block of the user's own: the slow way through Keras knows what the writer does not.
        from keras_nas.build import build_model
        from keras_nas.export import export_onnx

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "candidate.onnx"
            export_onnx(build_model(graph, seed=0), path, preprocessing=before, softmax=True)
            (profile,) = _profiles([path], device, options)
    return profile.to_dict()


def time_files(
    _channel: Channel,
    _folder: str,
    files: Sequence[str],
    reference_ms: float | None,
    budget_seconds: float,
    device: Sequence[str] | None,
) -> list[dict[str, Any]]:
    """Measure exported models side by side, with the time each of their operations takes."""
    options: dict[str, Any] = {
        "anchor_reference_ms": reference_ms,
        "budget_seconds": budget_seconds,
        "operations": True,
    }
    return [profile.to_dict() for profile in _profiles(files, device, options)]


def _profiles(
    files: Sequence[str | Path], device: Sequence[str] | None, options: dict[str, Any]
) -> list[LatencyProfile]:
    """Profiles of files here, or on a device."""
    from optuna_nas.profiling import profile_many, profile_many_remote

    if device is None:
        return profile_many(files, **options)
    return profile_many_remote(files, command=device, **options)


def train_graph(
    channel: Channel, graph_json: str, folder: str, plan: Mapping[str, Any]
) -> Training:
    """Train on the training rows and judge every epoch on the validation rows."""
    from keras_nas.build import build_model
    from keras_nas.training import train

    graph = ArchitectureGraph.from_json(graph_json).pruned()
    arguments = dict(plan)
    data = prepared(folder, arguments.pop("data_fraction", 1.0), arguments["seed"])
    started = time.perf_counter()

    def on_epoch_end(epoch: int, values: Mapping[str, float]) -> bool:
        channel.send((epoch, dict(values)))
        return channel.stopped is not None

    result = train(
        build_model(graph, seed=arguments["seed"]),
        data.x_train,
        data.y_train,
        x_val=data.x_val,
        y_val=data.y_val,
        on_epoch_end=on_epoch_end,
        **arguments,
    )
    # With patience the weights of the best epoch are kept, without it those of the last.
    kept = result.best_epoch if plan.get("patience") is not None else result.epochs_run
    seconds = time.perf_counter() - started
    return Training(result.curve, max(kept, 1) - 1, result.diverged, seconds)


@lru_cache(maxsize=1)
def prepared(folder: str, fraction: float, seed: int) -> Prepared:
    """Read and preprocess the data once a process."""
    data = Dataset.open(Path(folder))
    rows = chosen_rows(np.asarray(data.y_train), fraction, seed)
    return Prepared(
        data.preprocessing.apply(data.x_train[rows]),
        np.asarray(data.y_train[rows]),
        data.preprocessing.apply(data.x_val),
        np.asarray(data.y_val),
    )


def chosen_rows(y: Labels, fraction: float, seed: int) -> NDArray[np.int64]:
    """Rows of a share of the data, in order, at least one of each class.

    Args:
        y: Labels, shape (rows,).
        fraction: Share of the rows.
        seed: Which rows; smaller shares are parts of larger ones.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    _, first = np.unique(y[order], return_index=True)
    rest = np.delete(order, first)
    size = Fidelity(1, fraction).rows(len(y), at_least=len(first))
    return np.sort(np.concatenate([order[first], rest])[:size])
