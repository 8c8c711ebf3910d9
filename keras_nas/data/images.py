"""A folder of images, one sub-folder per class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keras_nas.data.npz import one_line
from keras_nas.data.source import Source
from optuna_nas.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def read_images(folder: Path) -> Source:
    """Read ``folder/<class>/<image>``; grey images give one channel, others three.

    Raises:
        DataError: No classes, no images, a file that can't be read, or different sizes.
    """
    classes = sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if not classes:
        raise DataError(
            f"{folder} has no sub-folders; expected one for each class, with its images inside",
            str(folder),
        )
    files = [(path, label) for label, entry in enumerate(classes) for path in _images_in(entry)]
    paths = [path for path, _ in files]
    images = _decode(paths)
    return Source(
        name=folder.resolve().name,
        x=images,
        y=np.array([label for _, label in files], dtype=np.int64),
        class_names=tuple(entry.name for entry in classes),
        names=(str(folder), f"classes of {folder}", "", ""),
    )


def _images_in(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(
            f"{folder} holds no images ({', '.join(SUFFIXES[:3])}, ...); remove the folder or add "
            "images of this class",
            str(folder),
        )
    return found


def _decode(paths: list[Path]) -> NDArray[Any]:
    from PIL import Image, UnidentifiedImageError

    pictures: list[NDArray[Any]] = []
    first: tuple[int, int] | None = None
    colour = False
    for path in paths:
        try:
            with Image.open(path) as image:
                size = image.size
                grey = image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I")
                pictures.append(_pixels(image, grey))
        except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(
                f"{path} is not a readable image: {one_line(error)}; repair or remove it",
                str(path),
            ) from error
        colour = colour or not grey
        if first is None:
            first = size
        elif size != first:
            raise DataError(
                f"images differ in size: {paths[0]} is {first[0]}x{first[1]} and {path} "
                f"is {size[0]}x{size[1]}; resize them all to one size",
                size,
            )
    if colour:
        pictures = [np.stack([p] * 3, axis=-1) if p.ndim == 2 else p for p in pictures]
    return np.stack(pictures)


def _pixels(image: Image, grey: bool) -> NDArray[Any]:
    """Values from 0 to 255, shape (height, width) or (height, width, 3)."""
    if image.mode.startswith("I"):  # 16 bits, which Pillow's conversion would cut off at 255
        return np.asarray(image, dtype=np.float32) / 257
    if image.mode == "F":
        return np.asarray(image)
    return np.asarray(image.convert("L" if grey else "RGB"))
