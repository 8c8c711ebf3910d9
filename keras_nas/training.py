"""Training a Keras classifier for a few epochs, quickly; its evaluation; its predictions.

On the TensorFlow backend a step of the project's own does the work (`keras_nas._tensorflow`); on
others Keras's ``fit`` does, which takes the same examples in the same order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from keras_nas._keras import keras
from keras_nas._runner import KerasRunner, Logits, OptimizerSettings, Runner
from keras_nas.augmentation import Augmentation
from optuna_nas.errors import DataError

EVALUATION_BATCH = 256

OnEpochEnd = Callable[[int, Mapping[str, float]], bool | None]
StoppedBy = Literal["budget", "patience", "callback", "diverged"]


@dataclass(frozen=True)
class TrainingResult:
    """What a training left behind, beside the model's weights.

    Args:
        curve: One value an epoch: "accuracy" and "loss" on the way through the training examples,
            "val_accuracy" and "val_loss" after the epoch. All values are finite.
        epochs_run: Epochs completed with a finite loss.
        best_epoch: Epoch (from 1) of the best validation accuracy, the smaller loss deciding
            between equals; 0 where there was none.
        stopped_by: "budget" (all epochs done), "patience", "callback", or "diverged": the loss
            was no finite number, and the model is of no use.
        seconds: Wall time, with tracing and evaluation.
    """

    curve: dict[str, list[float]]
    epochs_run: int
    best_epoch: int
    stopped_by: StoppedBy
    seconds: float

    @property
    def diverged(self) -> bool:
        """Whether the loss stopped being a finite number."""
        return self.stopped_by == "diverged"


def train(
    model: Any,
    x_train: NDArray[Any],
    y_train: NDArray[Any],
    *,
    x_val: NDArray[Any] | None = None,
    y_val: NDArray[Any] | None = None,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    optimizer: Literal["adam", "sgd"] = "adam",
    momentum: float = 0.9,
    schedule: Literal["cosine", "constant"] = "cosine",
    weight_decay: float = 0.0,
    label_smoothing: float = 0.0,
    flip: bool = False,
    crop: float = 0.0,
    cutout: float = 0.0,
    mixup: float = 0.0,
    patience: int | None = None,
    seed: int | None = 0,
    on_epoch_end: OnEpochEnd | None = None,
) -> TrainingResult:
    """Train a classifier in place.

    Every epoch goes through all examples in a new order; the last batch is filled up with others
    drawn at random, so that all batches have one size. The seed decides the order; initial
    weights and dropout are decided where the model is built.

    Args:
        model: A built Keras model from (batch, ...) to logits (batch, classes).
        x_train: Features, (examples, ...), prepared as the model expects them.
        y_train: Classes, (examples,), integers from 0.
        x_val: Validation features; without them the curve has no "val_" entries.
        y_val: Validation classes.
        epochs: Most epochs to train; the cosine schedule ends there.
        batch_size: Examples a step; all of them where there are fewer.
        learning_rate: Of the first step.
        optimizer: "adam", or "sgd" with Nesterov's momentum.
        momentum: Of "sgd".
        schedule: "cosine" falls to zero at the end of the budget; "constant" stays.
        weight_decay: Decoupled, on matrices and kernels alone.
        label_smoothing: Share of each target spread evenly over all classes; the validation loss
            is the cross-entropy without it.
        flip: Mirror half of the images, drawn anew each epoch; this and what follows is written
            out in `keras_nas.augmentation`.
        crop: Move images by up to this share of their size.
        cutout: Set a square of this share of their height and width to 0.
        mixup: Mix pairs of examples, of any shape, by weights from Beta(mixup, mixup). The accuracy
            on the way counts the class of which there is more.
        patience: Stop after so many epochs without a better validation accuracy, and return to
            the weights of the best. None trains to the end and keeps the last weights.
        seed: Seeds the order of examples and their augmentation.
        on_epoch_end: Called as ``on_epoch_end(epoch, metrics)`` after each epoch, from 1, with
            the last values of the curve; returning True stops the training.

    Raises:
        DataError: Features and labels do not fit the model or each other.
        ValueError: An option has no meaning.
    """
    started = time.perf_counter()
    _check_options(epochs, batch_size, learning_rate, optimizer, schedule, patience, x_val)
    _check_data(model, x_train, y_train, "train")
    validated = x_val is not None and y_val is not None
    if x_val is not None and y_val is not None:
        _check_data(model, x_val, y_val, "val")
    augmentation = Augmentation(flip, crop, cutout, mixup)
    augmentation.check(x_train)
    classes = int(model.output_shape[-1])
    batch_size = min(batch_size, len(x_train))
    steps = math.ceil(len(x_train) / batch_size)
    settings = OptimizerSettings(
        optimizer, learning_rate, schedule, momentum, weight_decay, label_smoothing
    )
    runner = _new_runner(model)
    runner.prepare(settings, batch_size, epochs * steps, probabilities=mixup > 0)
    held_val = runner.hold(x_val, y_val) if x_val is not None and y_val is not None else None
    rng = np.random.default_rng(seed)
    names = ("loss", "accuracy", "val_loss", "val_accuracy") if validated else ("loss", "accuracy")
    curve: dict[str, list[float]] = {name: [] for name in names}
    best, best_epoch, best_weights = (-math.inf, -math.inf), 0, None
    stopped_by: StoppedBy = "budget"
    held = runner.hold(x_train, y_train)
    epoch = 0
    for epoch in range(1, epochs + 1):
        batches = _batches(len(x_train), batch_size, rng)
        if not augmentation.is_neutral:
            held = runner.hold(*_augmented(augmentation, x_train, y_train, classes, rng))
        values: tuple[float, ...] = runner.epoch(*held, batches)
        if held_val is not None and all(map(math.isfinite, values)):
            values += runner.score(*held_val, max(batch_size, EVALUATION_BATCH))
        if not all(map(math.isfinite, values)):
            stopped_by, epoch = "diverged", epoch - 1
            break
        metrics = dict(zip(names, values, strict=True))
        for name, value in metrics.items():
            curve[name].append(value)
        if validated and (metrics["val_accuracy"], -metrics["val_loss"]) > best:
            best, best_epoch = (metrics["val_accuracy"], -metrics["val_loss"]), epoch
            best_weights = model.get_weights() if patience is not None else None
        if on_epoch_end is not None and on_epoch_end(epoch, metrics):
            stopped_by = "callback"
            break
        if patience is not None and epoch - best_epoch >= patience:
            stopped_by = "patience"
            break
    if best_weights is not None and best_epoch < epoch:
        model.set_weights(best_weights)
    return TrainingResult(curve, epoch, best_epoch, stopped_by, time.perf_counter() - started)


def evaluate(
    model: Any, x: NDArray[Any], y: NDArray[Any], batch_size: int = EVALUATION_BATCH
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of a classifier over all examples, exactly.

    Args:
        model: A built Keras model from (batch, ...) to logits (batch, classes).
        x: Features, (examples, ...).
        y: Classes, (examples,).
        batch_size: Examples computed at once.

    Raises:
        DataError: Features and labels do not fit the model or each other.
    """
    _check_data(model, x, y, "")
    runner = _runner_of(model)
    return runner.score(*runner.hold(x, y), batch_size)


def predict(model: Any, x: NDArray[Any], batch_size: int = EVALUATION_BATCH) -> Logits:
    """Outputs of a model for all examples: logits, (examples, classes)."""
    return _runner_of(model).predict(np.asarray(x, np.float32), batch_size)


def configure(*, threads: int | None = None) -> None:
    """Settings of the process, to be made before the first model is built.

    Args:
        threads: Processor threads TensorFlow may use; None leaves all. For small networks one
            thread a process and a process for each core gets most done.

    Raises:
        RuntimeError: TensorFlow has started already.
    """
    if threads is not None and keras.config.backend() == "tensorflow":
        from keras_nas._tensorflow import configure_threads

        configure_threads(threads)


def _new_runner(model: Any) -> Runner:
    if keras.config.backend() == "tensorflow":
        from keras_nas._tensorflow import TensorFlowRunner

        return TensorFlowRunner(model)
    return KerasRunner(model)


class _Kept:
    """Keeps a runner on its model without Keras taking it for a part of the model."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner


def _runner_of(model: Any) -> Runner:
    kept = getattr(model, "_kept_runner", None)
    if not isinstance(kept, _Kept):
        kept = model._kept_runner = _Kept(_new_runner(model))
    return kept.runner


def _augmented(
    augmentation: Augmentation,
    x: NDArray[Any],
    y: NDArray[Any],
    classes: int,
    rng: np.random.Generator,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The examples of one epoch, and their classes, or with mixup the probabilities of these."""
    images = augmentation.images(x, rng)
    if not augmentation.mixup:
        return images, y
    return augmentation.mixed(images, np.eye(classes, dtype=np.float32)[np.asarray(y)], rng)


def _batches(count: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of all examples in random order, (steps, size), the last row filled up."""
    order = rng.permutation(count)
    missing = -count % size
    if missing:
        full = count - (size - missing)  # the examples of the batches before the last
        order = np.concatenate([order, order[rng.choice(full, missing, replace=False)]])
    return order.reshape(-1, size)


def _check_options(
    epochs: int,
    batch_size: int,
    learning_rate: float,
    optimizer: str,
    schedule: str,
    patience: int | None,
    x_val: NDArray[Any] | None,
) -> None:
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"train: epochs={epochs} and batch_size={batch_size} must be at least 1.")
    if not learning_rate > 0:
        raise ValueError(f"train: learning_rate must be above 0, got {learning_rate}.")
    if optimizer not in ("adam", "sgd"):
        raise ValueError(f"train: optimizer must be 'adam' or 'sgd', got {optimizer!r}.")
    if schedule not in ("cosine", "constant"):
        raise ValueError(f"train: schedule must be 'cosine' or 'constant', got {schedule!r}.")
    if patience is not None and (patience < 1 or x_val is None):
        raise ValueError(
            f"train: patience={patience} must be at least 1, and needs x_val and y_val."
        )


def _check_data(model: Any, x: NDArray[Any], y: NDArray[Any], part: str) -> None:
    suffix = f"_{part}" if part else ""
    expected = tuple(model.input_shape[1:])
    shape = tuple(np.shape(x))
    fits = len(shape) == len(expected) + 1 and all(
        a is None or a == b for a, b in zip(expected, shape[1:], strict=True)
    )
    if not fits or not shape[0]:
        raise DataError(
            f"x{suffix} must have the shape (examples, {', '.join(map(str, expected))}) of the "
            f"model's input with at least one example, got {shape}.",
            shape,
        )
    if np.shape(y) != shape[:1]:
        raise DataError(
            f"y{suffix} must have one class for each of {shape[0]} examples, got the shape "
            f"{np.shape(y)}.",
            np.shape(y),
        )
    classes = int(model.output_shape[-1])
    lowest, highest = int(np.min(y)), int(np.max(y))
    if lowest < 0 or highest >= classes:
        raise DataError(
            f"y{suffix} must hold classes from 0 to {classes - 1}, the model's outputs; got "
            f"{lowest if lowest < 0 else highest}.",
            lowest if lowest < 0 else highest,
        )
