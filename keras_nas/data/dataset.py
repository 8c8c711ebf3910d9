"""A classification task: the arrays of its three parts, and what is known about them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from optuna_nas.export import Preprocessing

Kind = Literal["tables", "sequences", "images", "texts"]
Features = NDArray[np.float32]
Labels = NDArray[np.int64]

_ARRAYS = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data split once into train, validation and test parts.

    The search sees the train and the validation part. The test part is for the report, once.

    Attributes:
        name: Short name, used for the run folder.
        x_train, x_val, x_test: Raw features, float32, shape (rows, *input_shape).
        y_train, y_val, y_test: Labels 0..classes-1, int64, shape (rows,).
        class_names: A name for every class, in the order of the labels.
        preprocessing: ``(x - mean) * scale``, fitted on ``x_train`` only.
        feature_names: Names of the columns of a table, empty for images.
        vocabulary: Of texts: words by number, the first for padding, the second for unknown words.
    """

    name: str
    x_train: Features
    y_train: Labels
    x_val: Features
    y_val: Labels
    x_test: Features
    y_test: Labels
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    feature_names: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What the rows are."""
        if self.vocabulary:
            return "texts"
        kinds: tuple[Kind, ...] = ("tables", "sequences", "images")
        return kinds[len(self.input_shape) - 1]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, channels last."""
        return tuple(int(size) for size in self.x_train.shape[1:])

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each part, for example {"train": 1077, "val": 360, "test": 360}."""
        return {"train": len(self.y_train), "val": len(self.y_val), "test": len(self.y_test)}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all arrays: equal only for the same data, split in the same way."""
        digest = hashlib.blake2b(digest_size=12)
        for name in _ARRAYS:
            array = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name}{array.shape}{array.dtype}".encode())
            digest.update(array.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """What a report says about the data."""
        words = {"vocabulary": len(self.vocabulary)} if self.vocabulary else {}
        return {
            "name": self.name,
            **words,
            "input_shape": list(self.input_shape),
            "classes": self.classes,
            "class_names": list(self.class_names),
            "rows": self.rows,
            "fingerprint": self.fingerprint,
        }

    def save(self, directory: Path) -> None:
        """Write the arrays as ``.npy`` files that worker processes map into memory."""
        directory.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(directory / f"{name}.npy", getattr(self, name), allow_pickle=False)
        about = {
            "name": self.name,
            "class_names": self.class_names,
            "feature_names": self.feature_names,
            "vocabulary": self.vocabulary,
            "preprocessing": self.preprocessing.to_dict(),
        }
        (directory / "dataset.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def open(cls, directory: Path) -> Dataset:
        """Open what `save` wrote, without reading the arrays into memory."""
        about = json.loads((directory / "dataset.json").read_text(encoding="utf-8"))
        arrays = {
            name: np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in _ARRAYS
        }
        return cls(
            name=about["name"],
            class_names=tuple(about["class_names"]),
            feature_names=tuple(about["feature_names"]),
            vocabulary=tuple(about["vocabulary"]),
            preprocessing=Preprocessing.from_dict(about["preprocessing"]),
            **arrays,
        )


def fit_preprocessing(x: Features, categorical: Sequence[int] = ()) -> Preprocessing:
    """Standardise each feature of a table, or each channel of images and sequences.

    Args:
        x: Training features, shape (rows, features), (rows, steps, channels) or (rows, height,
            width, channels).
        categorical: Features or channels that stay as they are.
    """
    axes: Sequence[int] = tuple(range(x.ndim - 1))
    mean = x.mean(axis=tuple(axes), dtype=np.float64)
    deviation = x.std(axis=tuple(axes), dtype=np.float64)
    # A constant feature carries nothing: centring it is enough, and dividing by 0 would not do.
    # What is constant is relative: farads and metres may well be of the order of 1e-12.
    constant = deviation <= np.maximum(1e-7 * np.abs(mean), 1e-30)
    scale = 1.0 / np.where(constant, 1.0, deviation)
    mean[list(categorical)], scale[list(categorical)] = 0.0, 1.0
    return Preprocessing(mean, scale)
