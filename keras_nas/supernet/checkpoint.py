"""The state of a supernet's training in one file, whole or not there."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_nas.errors import SupernetError

FACTS = "facts"


@dataclass(frozen=True)
class Checkpoint:
    """Arrays and plain facts.

    Args:
        arrays: By name.
        facts: Values that JSON can hold.
    """

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """As a NumPy archive; `from_bytes` returns an equal checkpoint."""
        stream = io.BytesIO()
        facts = np.frombuffer(json.dumps(dict(self.facts)).encode(), np.uint8)
        arrays: dict[str, Any] = {FACTS: facts, **self.arrays}
        np.savez(stream, **arrays)  # before NumPy 2.1 `allow_pickle` would be an array among these
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, state: bytes) -> Checkpoint:
        """Read what `to_bytes` wrote.

        Raises:
            SupernetError: It is something else.
        """
        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            return cls(arrays, json.loads(arrays.pop(FACTS).tobytes()))
        except (ValueError, LookupError, OSError, EOFError) as error:
            raise SupernetError(f"This is no checkpoint of a supernet: {error}") from error

    def group(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The arrays whose names begin with a prefix, by the rest of their names."""
        start = f"{prefix}:"
        return {k.removeprefix(start): a for k, a in self.arrays.items() if k.startswith(start)}


def grouped(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The reverse of `Checkpoint.group`."""
    return {f"{prefix}:{name}": array for name, array in arrays.items()}


def numbered(arrays: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays by their position."""
    return {str(number): array for number, array in enumerate(arrays)}


def in_order(arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """The reverse of `numbered`."""
    return [arrays[str(number)] for number in range(len(arrays))]


def write_whole(path: Path, state: bytes) -> None:
    """Write a file so that readers find either the old one or all of the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(state)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
