"""The small data sets that come with scikit-learn: real, and without a download."""

from __future__ import annotations

import numpy as np

from keras_nas.data.source import Source

BUNDLED = ("digits", "wine", "breast_cancer", "iris")


def read_bundled(name: str) -> Source:
    """Read one of `BUNDLED`; digits are 8x8 grey images, the others are tables."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    images = name == "digits"
    return Source(
        name=name,
        x=np.asarray(bunch.images if images else bunch.data),
        y=np.asarray(bunch.target),
        class_names=tuple(str(label) for label in bunch.target_names),
        feature_names=() if images else tuple(str(column) for column in bunch.feature_names),
    )
