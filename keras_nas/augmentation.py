"""Changes of training examples that leave their classes: flips, crops, cutout and mixup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_nas.errors import DataError


@dataclass(frozen=True)
class Augmentation:
    """How the examples of an epoch differ from those of the data, drawn anew for each epoch.

    Values outside of an image are 0, which is the mean of standardised images.

    Args:
        flip: Whether half of the images are mirrored, left for right.
        crop: Share of the height and width by which an image is moved at most, as by padding and
            cropping (He et al. 2016, section 4.2: 4 pixels of 32, which is 0.125).
        cutout: Share of the height and width of a square that is set to 0; its centre may be
            anywhere in the image (DeVries & Taylor 2017).
        mixup: Concentration of the beta distribution of which the weights of pairs of examples are
            drawn; 0 mixes none (Zhang et al. 2018, eq. 1, with weights of each pair).

    Raises:
        ValueError: A share or concentration is out of its range.
    """

    flip: bool = False
    crop: float = 0.0
    cutout: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for name in ("crop", "cutout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)!r}.")
        if not 0 <= self.mixup < float("inf"):
            raise ValueError(f"mixup must be 0 or more, got {self.mixup!r}.")

    @property
    def is_neutral(self) -> bool:
        """Whether everything stays as it is."""
        return not (self.flip or self.crop or self.cutout or self.mixup)

    def check(self, x: NDArray[Any]) -> None:
        """Refuse to move or cut what is no image.

        Raises:
            DataError: Examples are not of shape (height, width, channels).
        """
        if (self.flip or self.crop or self.cutout) and x.ndim != 4:
            raise DataError(
                "flip, crop and cutout are for images, of shape (examples, height, width, "
                f"channels); got {x.shape}.",
                x.shape,
            )

    def images(self, x: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
        """A copy of examples, shape (examples, ...), flipped, moved and cut."""
        changed = np.array(x, np.float32)
        if self.flip:
            mirrored = rng.random(len(x)) < 0.5
            changed[mirrored] = changed[mirrored, :, ::-1]
        if self.crop:
            changed = _moved(changed, self.crop, rng)
        if self.cutout:
            _cut(changed, self.cutout, rng)
        return changed

    def mixed(
        self, x: NDArray[Any], targets: NDArray[Any], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Each example and its target mixed with those of another one.

        Args:
            x: Shape (examples, ...).
            targets: Probabilities, shape (examples, classes).
            rng: Source of randomness.
        """
        weights = rng.beta(self.mixup, self.mixup, len(x)).astype(np.float32)
        others = rng.permutation(len(x))
        return _blend(x, others, weights), _blend(targets, others, weights)


def _blend(
    values: NDArray[Any], others: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    factors = weights.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(factors * values + (1 - factors) * values[others], np.float32)


def _moved(x: NDArray[np.float32], share: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Images moved by up to a share of their size, rows and columns alike, what is left being 0."""
    count, height, width, _ = x.shape
    down, right = round(share * height), round(share * width)
    padded = np.pad(x, ((0, 0), (down, down), (right, right), (0, 0)))
    rows = rng.integers(0, 2 * down + 1, count)[:, None] + np.arange(height)
    columns = rng.integers(0, 2 * right + 1, count)[:, None] + np.arange(width)
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _cut(x: NDArray[np.float32], share: float, rng: np.random.Generator) -> None:
    """Set a square of each image to 0, of a share of its height and width, in place."""
    count, height, width, _ = x.shape
    inside: list[NDArray[np.bool_]] = []
    for size in (height, width):
        extent = round(share * size)
        first = rng.integers(size, size=(count, 1)) - extent // 2
        places = np.arange(size)
        inside.append((places >= first) & (places < first + extent))
    x[inside[0][:, :, None] & inside[1][:, None, :]] = 0.0
