"""The examples that a supernet learns from: checked, in two halves, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_nas.errors import DataError, SupernetError
from optuna_nas.supergraph import SuperGraph


@dataclass(frozen=True)
class Examples:
    """Features and classes.

    Args:
        x: Of shape (examples, ...), float32, or int64 where they are tokens.
        y: Classes (examples,), int64.
    """

    x: NDArray[Any]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)

    @classmethod
    def of(cls, x: Any, y: Any, graph: SuperGraph, name: str = "x") -> Examples:
        """Examples for a supergraph.

        Raises:
            DataError: They do not fit it.
        """
        features, classes = features_of(x, graph, name), np.asarray(y)
        if classes.shape != features.shape[:1] or classes.dtype.kind not in "iub":
            raise DataError(
                f"{name} has {len(features)} examples, so its classes must be as many whole "
                f"numbers; got an array of shape {classes.shape} and type {classes.dtype}.",
                classes.shape,
            )
        most = graph.shapes[graph.root.output][-1]
        if classes.min() < 0 or classes.max() >= most:
            raise DataError(
                f"The classes of {name} must be from 0 to {most - 1}, those of the space; got "
                f"{classes.min()} to {classes.max()}.",
                int(classes.max()),
            )
        return cls(features, classes.astype(np.int64))

    def take(self, positions: NDArray[np.int64]) -> Examples:
        """The examples at given positions."""
        return Examples(self.x[positions], self.y[positions])


def features_of(x: Any, graph: SuperGraph, name: str) -> NDArray[Any]:
    """Features as the network takes them.

    Raises:
        DataError: Their shape is another, or there are none.
    """
    features = np.asarray(x, np.int64 if graph.reads_tokens else np.float32)
    if features.shape[1:] != graph.input_shape or not len(features):
        raise DataError(
            f"{name} must have the shape (examples, {', '.join(map(str, graph.input_shape))}) of "
            f"the space's input with at least one example, got {features.shape}.",
            features.shape,
        )
    return features


def halves(
    count: int, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the examples that train weights, and of those that train alphas.

    Args:
        count: Examples.
        share: For the alphas.
        rng: Draws who goes where.

    Raises:
        SupernetError: One of the halves would be empty.
    """
    order = rng.permutation(count)
    held_out = round(count * share) if 0 < share < 1 else 0
    if not 0 < held_out < count:
        raise SupernetError(
            f"validation_split={share} of {count} examples leaves none for the "
            f"{'weights' if held_out else 'alphas'}; choose a share between 0 and 1 that leaves "
            "some for both, or give validation_data.",
            share,
        )
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def batches(
    count: int, size: int, steps: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Positions (size,) of the examples of each step, all in random order before any again."""
    size = min(size, count)
    rounds = -(-steps * size // count)
    order = np.concatenate([rng.permutation(count) for _ in range(rounds)])
    return iter(order[: steps * size].reshape(steps, size))
