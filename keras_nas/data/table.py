"""A table from a ``.csv`` file with one named column to predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keras_nas.data.checks import check_class_sizes
from keras_nas.data.dataset import Labels
from keras_nas.data.npz import one_line
from keras_nas.data.source import Source
from keras_nas.data.splitting import Rows, split_rows
from keras_nas.data.text import text_source, words_of
from optuna_nas.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 50
FEWEST_WORDS = 2.0
"""On average, for a column of many different texts to be read word by word."""


def read_table(
    path: Path, target: str | None, *, seed: int, validation: float, test: float
) -> Source:
    """Read a table; numbers stay, texts become one column of 0 and 1 for each category.

    A single column of many different texts is read word by word instead: see `text_source`.

    The categories are those of the training rows: a text met first in validation or test rows is
    in no category, as it would be in use.

    Args:
        path: File with a header line; ``.gz`` is decompressed.
        target: Name of the column that holds the class.
        seed: Seed of the split, which decides what the training rows are.
        validation: Share of the rows for validation.
        test: Share of the rows for the test.
    """
    import pandas as pd

    try:
        # The C parser's own guess of missing values: empty, NA, nan, null and the like.
        frame = pd.read_csv(path)
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty: expected a header line and rows") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a readable CSV file: save it as text in UTF-8") from error
    except (OSError, EOFError, pd.errors.ParserError) as error:
        raise DataError(f"{path} is not a readable CSV file: {one_line(error)}") from error
    if not len(frame):
        raise DataError(f"{path} has a header and no rows", str(path))
    columns = ", ".join(map(str, frame.columns))
    if target is None:
        raise DataError(f"{path} needs a target column, one of: {columns}")
    if target not in frame.columns:
        hint = "; columns are to be separated by commas" if len(frame.columns) == 1 else ""
        raise DataError(f"{path} has no column {target!r}; it has: {columns}{hint}", target)
    features = frame.drop(columns=target)
    if not len(features.columns):
        raise DataError(f"{path} has no column besides the target {target!r}", target)
    y, class_names = _read_target(frame[target], f"column {target!r}")
    _check_missing(features)
    if (texts := _texts(features)) is not None:
        return text_source(
            path.name.split(".")[0],
            texts,
            y,
            class_names,
            seed=seed,
            validation=validation,
            test=test,
            where=f"column {features.columns[0]!r}",
        )
    train = split_rows(y, seed=seed, validation=validation, test=test).train
    x, feature_names = _encode(features, train)
    return Source(
        name=path.name.split(".")[0],
        x=x,
        y=y,
        class_names=class_names,
        feature_names=feature_names,
        names=(str(path), f"column {target!r}", "", ""),
    )


def _read_target(column: pd.Series[Any], where: str) -> tuple[Labels, tuple[str, ...]]:
    import pandas as pd

    missing = column.isna()
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise DataError(
            f"{where} has {int(missing.sum())} empty or NaN labels, the first at row {row} "
            "(the first row below the header is 0); fill or drop these rows",
            row,
        )
    if pd.api.types.is_float_dtype(column.dtype):
        values = column.to_numpy(dtype=float)
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DataError(f"{where} has an infinite label at row {row}", row)
        if (values != np.floor(values)).any():
            value = float(values[values != np.floor(values)][0])
            raise DataError(
                f"{where} is continuous (such as {value:g}); regression is not supported yet: "
                "choose a column of classes, or cut the values into classes",
                value,
            )
        column = column.astype(np.int64)
    found, y = np.unique(
        column.to_numpy(dtype=object).astype(_sortable(column)), return_inverse=True
    )
    class_names = tuple(str(value) for value in found)
    labels: Labels = y.astype(np.int64)
    if len(found) < 2:
        raise DataError(
            f"{where} has one class only ({class_names[0]}); a classifier needs two or more",
            class_names[0],
        )
    check_class_sizes(labels, class_names, where)
    return labels, class_names


def _sortable(column: pd.Series[Any]) -> type:
    import pandas as pd

    return int if pd.api.types.is_integer_dtype(column.dtype) else str


def _check_missing(features: pd.DataFrame) -> None:
    for name in features.columns:
        missing = features[name].isna()
        if missing.any():
            row = int(np.flatnonzero(missing)[0])
            raise DataError(
                f"column {name!r} has {int(missing.sum())} missing or NaN values, the first at row "
                f"{row} (the first row below the header is 0); fill them, or drop the rows or the "
                "column",
                name,
            )


def _texts(features: pd.DataFrame) -> list[str] | None:
    """The texts of a table that has no other column; None where it has, or these are categories."""
    import pandas as pd

    column = features.iloc[:, 0]
    if len(features.columns) > 1 or pd.api.types.is_numeric_dtype(column.dtype):
        return None
    texts = [str(text) for text in column]
    words = sum(len(words_of(text)) for text in texts) / len(texts)
    return texts if len(set(texts)) > MOST_CATEGORIES and words >= FEWEST_WORDS else None


def _encode(features: pd.DataFrame, train: Rows) -> tuple[NDArray[Any], tuple[str, ...]]:
    import pandas as pd

    parts: list[NDArray[Any]] = []
    names: list[str] = []
    for name in features.columns:
        column = features[name]
        if pd.api.types.is_numeric_dtype(column.dtype):  # bool is numeric here
            values = column.to_numpy(dtype=np.float64)
            if not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values))[0])
                raise DataError(
                    f"column {name!r} has an infinite value at row {row}; fill or drop the row",
                    name,
                )
            parts.append(values[:, None])
            names.append(str(name))
            continue
        texts = column.astype(str)
        categories = sorted(texts.iloc[train].unique())
        if len(categories) > MOST_CATEGORIES:
            raise DataError(
                f"column {name!r} has {len(categories)} different texts, such as "
                f"{categories[0]!r}; at most {MOST_CATEGORIES} are taken as categories: drop the "
                "column or turn it into numbers",
                name,
            )
        one_hot = texts.to_numpy(dtype=object)[:, None] == np.array(categories, dtype=object)
        parts.append(one_hot.astype(np.float64))
        names.extend(f"{name}={category}" for category in categories)
    return np.concatenate(parts, axis=1), tuple(names)
