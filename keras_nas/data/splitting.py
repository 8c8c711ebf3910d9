"""The fixed, stratified split into train, validation and test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_nas.data.dataset import Labels
from optuna_nas.errors import DataError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers of the parts, each sorted; ``test`` is empty where it came separately."""

    train: Rows
    val: Rows
    test: Rows


def split_rows(y: Labels, *, seed: int, validation: float, test: float) -> Split:
    """Split rows so that every part holds the classes in the same shares.

    Args:
        y: Labels, shape (rows,).
        seed: The split depends on the labels and on this alone.
        validation: Share of all rows used to judge candidates.
        test: Share of all rows kept away from the search; 0 for none.

    Raises:
        DataError: The shares leave a part with fewer rows than there are classes.
    """
    check_shares(validation, test)
    rows = np.arange(len(y))
    rest, test_rows = _split(rows, y, test, seed, "test") if test else (rows, np.empty(0, np.int64))
    share = validation / (1.0 - test)
    train_rows, val_rows = _split(rest, y, share, seed, "validation")
    return Split(np.sort(train_rows), np.sort(val_rows), np.sort(test_rows))


def check_shares(validation: float, test: float) -> None:
    """Raise unless the shares leave rows to train on."""
    if not 0.0 < validation < 1.0:
        raise DataError(f"validation must be between 0 and 1, got {validation}", validation)
    if not 0.0 <= test < 1.0 or validation + test >= 1.0:
        raise DataError(f"validation + test must stay below 1, got {validation} + {test}", test)


def _split(rows: Rows, y: Labels, share: float, seed: int, part: str) -> tuple[Rows, Rows]:
    from sklearn.model_selection import train_test_split

    labels = y[rows]
    classes = len(np.unique(labels))
    size = int(np.ceil(share * len(rows) - 1e-9))
    if size < classes or len(rows) - size < classes:
        raise DataError(
            f"{len(rows)} rows are too few for {classes} classes: the {part} part would have "
            f"{size} rows; give more rows or a larger {part} share",
            len(rows),
        )
    kept, taken = train_test_split(rows, test_size=size, random_state=seed, stratify=labels)
    return kept, taken
