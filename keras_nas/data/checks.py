"""What is asked of features and labels before anything is trained on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_nas.data.dataset import Features, Labels
from optuna_nas.errors import DataError

MANY_CLASSES = 10  # above, classes of a row or two are hardly meant as classes
FEWEST_PER_CLASS = 3  # one for each of train, validation and test


def check_features(x: NDArray[Any], where: str, *, sequences: bool = False) -> Features:
    """Return features as float32 with channels last, or say why they can't be used.

    Args:
        x: Shape (rows, features), (rows, height, width) or (rows, height, width, channels), or
            (rows, steps, channels) of sequences.
        where: How the user knows the array, for messages.
        sequences: Whether three axes are those of sequences.
    """
    if x.dtype.kind not in "biuf":
        raise DataError(f"{where} must hold numbers, not {x.dtype}", x.dtype)
    if len(x) == 0:
        raise DataError(f"{where} is empty: it has no rows", x.shape)
    if x.ndim == 3 and not sequences:
        x = x[..., None]
    if x.ndim not in ((2, 3) if sequences else (2, 4)) or 0 in x.shape:
        raise DataError(
            f"{where} has shape {x.shape}; expected (rows, features), (rows, height, width) or "
            "(rows, height, width, channels), and of sequences (rows, steps, channels)",
            x.shape,
        )
    if x.ndim == 4 and x.shape[1] in (1, 3) and x.shape[3] not in (1, 2, 3, 4):
        raise DataError(
            f"{where} has shape {x.shape}, which looks channels-first; channels go last: "
            "use x.transpose(0, 2, 3, 1)",
            x.shape,
        )
    if x.dtype.kind == "f":
        bad = ~np.isfinite(x.reshape(len(x), -1))
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            value = float(x.reshape(len(x), -1)[row, column])
            raise DataError(
                f"{where} has {int(bad.sum())} values that are NaN or infinite, the first ({value})"
                f" at row {row}, position {column}; fill or drop these rows",
                value,
            )
        largest = float(np.finfo(np.float32).max)
        if float(np.abs(x).max()) > largest:
            raise DataError(f"{where} has values beyond float32 ({largest:.2g}); rescale them")
    return np.ascontiguousarray(x, dtype=np.float32)


def check_tokens(x: Features, count: int, where: str) -> None:
    """Raise unless features are numbers of words: whole, and below ``count``."""
    wrong = (x != np.floor(x)) | (x < 0) | (x >= count)
    if x.ndim != 2 or wrong.any():
        value = float(x[wrong][0]) if wrong.any() else x.shape
        raise DataError(
            f"{where} must hold numbers of words, shape (rows, words), whole and from 0 to "
            f"{count - 1}; got {value}",
            value,
        )


def check_labels(y: NDArray[Any], rows: int, where: str) -> Labels:
    """Return integer labels as int64, or say why they can't be used.

    Args:
        y: Shape (rows,) or (rows, 1).
        rows: How many rows the features have.
        where: How the user knows the array, for messages.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2:
        raise DataError(
            f"{where} has shape {y.shape}; expected one integer a row; for one-hot labels use "
            "y.argmax(axis=1)",
            y.shape,
        )
    if y.ndim != 1:
        raise DataError(f"{where} has shape {y.shape}; expected (rows,)", y.shape)
    if len(y) != rows:
        raise DataError(f"{where} has {len(y)} labels for {rows} rows of features", len(y))
    if y.dtype.kind not in "biuf":
        raise DataError(
            f"{where} must hold integers 0..classes-1, not {y.dtype}; number the classes with "
            "np.unique(y, return_inverse=True)[1]",
            y.dtype,
        )
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            row = int(np.flatnonzero(~np.isfinite(y))[0])
            raise DataError(f"{where} has NaN or infinite labels, the first at row {row}", row)
        if (y != np.floor(y)).any():
            value = float(y[y != np.floor(y)][0])
            raise DataError(
                f"{where} has labels that are not integers, such as {value:g}; regression is not "
                "supported yet: give classes 0..classes-1",
                value,
            )
    return y.astype(np.int64)


def check_range(y: Labels, where: str) -> int:
    """Return the number of classes of labels that must be 0..classes-1 without a gap."""
    found = np.unique(y)
    if len(found) < 2:
        raise DataError(
            f"{where} has one class only ({int(found[0])}); a classifier needs two or more",
            int(found[0]),
        )
    if found[0] != 0 or found[-1] != len(found) - 1:
        raise DataError(
            f"{where} has labels out of range: {len(found)} classes must be 0..{len(found) - 1}, "
            f"found {int(found[0])}..{int(found[-1])}; renumber them with "
            "np.unique(y, return_inverse=True)[1]",
            int(found[-1]),
        )
    return len(found)


def check_class_sizes(y: Labels, class_names: tuple[str, ...], where: str) -> None:
    """Raise where a class has too few rows to be in every part of the split."""
    sizes = np.bincount(y, minlength=len(class_names))
    small = np.flatnonzero(sizes < FEWEST_PER_CLASS)
    if len(small):
        first = int(small[0])
        rare = len(small)
        hint = (
            "; this looks like an identifier or a continuous target, and regression is not "
            "supported yet"
            if rare > 0.5 * len(sizes) and len(sizes) > MANY_CLASSES
            else "; add rows, or drop or merge the class"
        )
        raise DataError(
            f"{where}: {rare} of {len(sizes)} classes have fewer than {FEWEST_PER_CLASS} rows, "
            f"such as {class_names[first]!r} with {int(sizes[first])}{hint}",
            class_names[first],
        )
