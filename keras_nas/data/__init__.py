"""Data for a search: named sets, ``.npz``, ``.csv``, folders of images or texts, as `Dataset`."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from keras_nas.data.bundled import BUNDLED, read_bundled
from keras_nas.data.dataset import Dataset
from keras_nas.data.images import read_images
from keras_nas.data.keras_sets import KERAS_SETS, read_keras_set
from keras_nas.data.npz import read_npz
from keras_nas.data.source import Source, make_dataset
from keras_nas.data.splitting import check_shares
from keras_nas.data.table import read_table
from keras_nas.data.text import Vocabulary, holds_texts, read_texts
from optuna_nas.errors import DataError

__all__ = ["BUNDLED", "KERAS_SETS", "Dataset", "Source", "Vocabulary", "load", "make_dataset"]


def load(
    data: str | os.PathLike[str],
    *,
    target: str | None = None,
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
) -> Dataset:
    """Load and split data for a search.

    Args:
        data: "digits", "wine", "breast_cancer", "iris" (come with scikit-learn), "mnist",
            "fashion_mnist", "cifar10", "cifar100" (Keras downloads them), an ``.npz`` with x_train,
            y_train[, x_test, y_test], a ``.csv`` with a header, or a folder with one sub-folder of
            images or ``.txt`` files per class. A ``.csv`` whose one column beside the target holds
            texts is read word by word. An ``.npz`` with ``kind="sequences"`` has x of shape (rows,
            steps, channels).
        target: The column of a ``.csv`` to predict.
        seed: Seed of the split, which depends on nothing else.
        validation: Share of all rows that judges candidates.
        test: Share of all rows kept for the final report; data that bring a test part keep it.

    Raises:
        DataError: In one line, what is wrong with the data and what to do.
    """
    check_shares(validation, test)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise DataError(f"seed must be an integer from 0 to 2**32 - 1, got {seed!r}", seed)
    source = _read(data, target, seed, validation, test)
    return make_dataset(source, seed=seed, validation=validation, test=test)


def _read(
    data: str | os.PathLike[str], target: str | None, seed: int, validation: float, test: float
) -> Source:
    name = os.fspath(data)
    if not name:
        raise DataError("data is empty; give the name of a data set, a file or a folder", name)
    path = Path(name).expanduser()
    table = path.name.lower().endswith((".csv", ".csv.gz"))
    if target is not None and not table:
        raise DataError(f"target names a column of a .csv file, and {name} is none", target)
    if name in BUNDLED:
        return read_bundled(name)
    if name in KERAS_SETS:
        return read_keras_set(name)
    try:
        if path.is_dir() and holds_texts(path):
            return read_texts(path, seed=seed, validation=validation, test=test)
        if path.is_dir():
            return read_images(path)
        if not path.exists():
            raise DataError(_unknown(name), name)
        if not os.access(path, os.R_OK):
            raise DataError(f"{path} can't be read: permission denied", name)
        if path.suffix.lower() == ".npz":
            return read_npz(path)
        if table:
            return read_table(path, target, seed=seed, validation=validation, test=test)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}", name) from error
    raise DataError(
        f"{path} is of no known kind; expected a .npz or .csv file or a folder of images", name
    )


def _unknown(name: str) -> str:
    known = (*BUNDLED, *KERAS_SETS)
    if Path(name).suffix or os.sep in name:
        return f"{name} does not exist; check the path"
    near = difflib.get_close_matches(name, known, n=1)
    guess = f" (did you mean {near[0]}?)" if near else ""
    return f"no data named {name!r} and no such file{guess}; known names: {', '.join(known)}"
