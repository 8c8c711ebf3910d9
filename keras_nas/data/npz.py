"""Arrays from an ``.npz`` file: x_train, y_train and perhaps x_test, y_test."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_nas.data.source import Source
from optuna_nas.errors import DataError

_NAMES = ("x_train", "y_train", "x_test", "y_test")
_MORE = ("class_names", "kind")


def read_npz(path: Path) -> Source:
    """Read the arrays named x_train, y_train[, x_test, y_test][, class_names][, kind].

    With the kind "sequences", examples of two axes are steps with channels; else they are images.

    Raises:
        DataError: The file is no readable ``.npz``, or lacks an array.
    """
    arrays = _read_arrays(path)
    for name in _NAMES[:2]:
        if name not in arrays:
            raise DataError(
                f"{path} has no array {name!r}; it needs x_train and y_train, and has "
                f"{', '.join(sorted(arrays)) or 'nothing'}",
                name,
            )
    if ("x_test" in arrays) != ("y_test" in arrays):
        lacking = "y_test" if "x_test" in arrays else "x_test"
        raise DataError(f"{path} has only one of x_test and y_test; add {lacking} or drop both")
    names = arrays.get("class_names")
    kind = str(arrays.get("kind", ""))
    if kind not in ("", "sequences"):
        raise DataError(f"{path}: kind must be 'sequences' or left out, got {kind!r}", kind)
    return Source(
        name=path.stem,
        x=arrays["x_train"],
        y=arrays["y_train"],
        x_test=arrays.get("x_test"),
        y_test=arrays.get("y_test"),
        class_names=None if names is None else tuple(str(name) for name in names.ravel()),
        sequences=kind == "sequences",
        names=("x_train", "y_train", "x_test", "y_test"),
    )


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", str(path))
    try:
        # Objects would be unpickled, which runs code that came with the data.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path} holds one array; use np.savez with x_train and y_train")
            known = [name for name in archive.files if name in (*_NAMES, *_MORE)]
            arrays = {name: archive[name] for name in known}
            others = {name: np.empty(0) for name in archive.files if name not in arrays}
    except DataError:
        raise
    except ValueError as error:
        if "pickled" in str(error):  # NumPy's guess about any file without its marks
            raise DataError(
                f"{path} is not a readable .npz file; write one with "
                "np.savez(path, x_train=..., y_train=...)",
                str(path),
            ) from error
        if "Object arrays" in str(error):
            raise DataError(
                f"{path} holds arrays of Python objects, which are not loaded; save plain numbers "
                "(np.asarray(x, dtype=np.float32); lists of unequal length make objects)",
                str(path),
            ) from error
        raise DataError(f"{path} is not a readable .npz file: {one_line(error)}") from error
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a readable .npz file: {one_line(error)}") from error
    return arrays or others


def one_line(error: BaseException) -> str:
    """Say what an exception says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
