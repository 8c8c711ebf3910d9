"""Small sets of real images, of data that packages bring along, and MNIST."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 12
"""Pixels of a patch's side."""
BLOCK = 48
"""Pixels of the side of a block, all of whose patches are for searching or all for judging."""
PATCHES = 600
"""Patches of a photograph to search with; a fifth of it to judge by."""
PHOTOGRAPHS = (
    "astronaut",
    "brick",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
)
"""Of scikit-image."""


@dataclass(frozen=True)
class Images:
    """Images to search with, and others to judge by.

    Args:
        x: Of the search, (examples, height, width, 1).
        y: Their classes, (examples,).
        x_test: Never seen by a search.
        y_test: Their classes.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape[1:])

    @property
    def classes(self) -> int:
        return int(self.y.max()) + 1


def digits(_data: Path | None) -> Images:
    """scikit-learn's digits, 8x8: 1,400 to search with."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return _parted(bunch.images[..., None] / 16, bunch.target, 1400)


def mnist(data: Path | None) -> Images:
    """MNIST, averaged down to 14x14: 6,000 to search with, 2,000 to judge by."""
    if data is None:
        raise SystemExit("mnist needs --data, a folder with mnist/mnist.npz.")
    with np.load(data / "mnist" / "mnist.npz", allow_pickle=False) as file:
        x, y = file["x_train"][:8000], file["y_train"][:8000]
    return _parted(x.reshape(-1, 14, 2, 14, 2).mean((2, 4))[..., None] / 255, y, 6000)


def patches(_data: Path | None) -> Images:
    """From which of ten photographs of scikit-image a patch of 12x12 is."""
    import skimage.data

    return _cut([getattr(skimage.data, name)() for name in PHOTOGRAPHS], PATCHES)


def turned(_data: Path | None) -> Images:
    """Which of four ways a patch of 12x12 of scikit-learn's two photographs is turned."""
    from sklearn.datasets import load_sample_images

    cut = _cut(load_sample_images().images, 5 * PATCHES)
    rng = np.random.default_rng(0)
    parts = []
    for x in (cut.x, cut.x_test):
        y = rng.integers(4, size=len(x))
        parts += [np.stack([np.rot90(*pair) for pair in zip(x, y, strict=True)]), y]
    return Images(*parts)


SETS: dict[str, Callable[[Path | None], Images]] = {
    "digits": digits,
    "mnist": mnist,
    "patches": patches,
    "turned": turned,
}


def _cut(photographs: Sequence[NDArray[Any]], count: int) -> Images:
    """Patches of photographs, drawn at random; their classes are the photographs.

    Every fifth block of a photograph is to judge by.
    """
    rng = np.random.default_rng(0)
    parts = [[_patches(p, judged, count, rng) for p in photographs] for judged in (False, True)]
    x, x_test = (np.concatenate(part).astype(np.float32) for part in parts)
    y, y_test = (np.repeat(np.arange(len(part)), [len(own) for own in part]) for part in parts)
    order = rng.permutation(len(x))
    return Images(x[order], y[order], x_test, y_test)


def _patches(
    photograph: NDArray[Any], judged: bool, count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Grey patches (patches, side, side, 1), each of mean 0 and deviation about 1."""
    grey = photograph.mean(-1) if photograph.ndim == 3 else photograph.astype(float)
    corners = np.indices([size // BLOCK for size in grey.shape]).reshape(2, -1).T * BLOCK
    held = np.arange(len(corners)) % 5 == 4
    own = corners[held if judged else ~held]
    starts = own[rng.integers(len(own), size=count // 5 if judged else count)]
    starts = starts + rng.integers(BLOCK - SIDE + 1, size=starts.shape)
    cut = np.stack([grey[i : i + SIDE, j : j + SIDE, None] for i, j in starts])
    # Those without any contrast are not stretched to nothing but noise.
    spread = cut.std((1, 2, 3), keepdims=True) + 1
    return (cut - cut.mean((1, 2, 3), keepdims=True)) / spread


def _parted(x: NDArray[Any], y: NDArray[Any], count: int) -> Images:
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].astype(np.float32), y[order].astype(np.int64)
    return Images(x[:count], y[:count], x[count:], y[count:])
