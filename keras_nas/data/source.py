"""From what a loader read to a `Dataset`: the one place where checks, split and fit meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_nas.data.checks import (
    check_class_sizes,
    check_features,
    check_labels,
    check_range,
    check_tokens,
)
from keras_nas.data.dataset import Dataset, fit_preprocessing
from keras_nas.data.splitting import split_rows
from optuna_nas.errors import DataError
from optuna_nas.export import Preprocessing


@dataclass(frozen=True)
class Source:
    """What a loader read, unchecked.

    Attributes:
        name: Short name of the data.
        x: Features of all rows, or of the rows that are not the given test part.
        y: Their labels.
        x_test, y_test: A test part that came with the data, or None.
        class_names: A name per class; None: the numbers themselves.
        feature_names: Names of the columns, for tables.
        categorical: Columns of a table that hold categories as 0, 1, 2 ...; they are not scaled.
        vocabulary: Words by number, where x holds the numbers of words.
        sequences: Whether examples of two axes are steps with channels rather than grey images.
        names: How messages call x, y, x_test and y_test.
    """

    name: str
    x: NDArray[Any]
    y: NDArray[Any]
    x_test: NDArray[Any] | None = None
    y_test: NDArray[Any] | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] = ()
    categorical: tuple[int, ...] = ()
    vocabulary: tuple[str, ...] = ()
    sequences: bool = False
    names: tuple[str, str, str, str] = ("features", "labels", "test features", "test labels")


def make_dataset(source: Source, *, seed: int, validation: float, test: float) -> Dataset:
    """Check, split and fit the preprocessing on the training rows.

    Args:
        source: What a loader read.
        seed: Seed of the split.
        validation: Share of the rows for validation.
        test: Share of the rows for the test; not used where the source has a test part.

    Raises:
        DataError: The data do not make a classification task.
    """
    x_name, y_name, x_test_name, y_test_name = source.names
    x = check_features(source.x, x_name, sequences=source.sequences)
    if source.vocabulary:
        check_tokens(x, len(source.vocabulary), x_name)
    y = check_labels(source.y, len(x), y_name)
    classes = check_range(y, y_name)
    class_names = source.class_names or tuple(str(label) for label in range(classes))
    if len(class_names) != classes:
        raise DataError(
            f"{y_name} has {classes} classes and class_names has {len(class_names)}",
            len(class_names),
        )
    check_class_sizes(y, class_names, y_name)
    if source.x_test is None or source.y_test is None:
        split = split_rows(y, seed=seed, validation=validation, test=test)
        if not len(split.test):
            raise DataError("test must be above 0 for data without a test part of their own", test)
        x_test, y_test = x[split.test], y[split.test]
    else:
        split = split_rows(y, seed=seed, validation=validation, test=0.0)
        x_test = check_features(source.x_test, x_test_name, sequences=source.sequences)
        if source.vocabulary:
            check_tokens(x_test, len(source.vocabulary), x_test_name)
        y_test = check_labels(source.y_test, len(x_test), y_test_name)
        if x_test.shape[1:] != x.shape[1:]:
            raise DataError(
                f"{x_test_name} has examples of shape {x_test.shape[1:]}, {x_name} of "
                f"{x.shape[1:]}; they must be equal",
                x_test.shape,
            )
        unseen = np.setdiff1d(y_test, y)
        if len(unseen):
            raise DataError(
                f"{y_test_name} has labels that {y_name} does not have: "
                f"{', '.join(map(str, unseen[:5]))}; add training rows of these classes",
                int(unseen[0]),
            )
    return Dataset(
        name=source.name,
        x_train=x[split.train],
        y_train=y[split.train],
        x_val=x[split.val],
        y_val=y[split.val],
        x_test=x_test,
        y_test=y_test,
        class_names=class_names,
        preprocessing=(
            Preprocessing()
            if source.vocabulary
            else fit_preprocessing(x[split.train], source.categorical)
        ),
        feature_names=source.feature_names,
        vocabulary=source.vocabulary,
    )
