"""`Preprocessing`: what happens to raw features before the network, kept with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optuna_nas.errors import ExportError


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """Centering and scaling, ``(x - mean) * scale``, along the last axis or everywhere.

    Args:
        mean: A number, or one a channel or feature, shape (channels,).
        scale: Likewise; for standardisation one over the standard deviation.

    Raises:
        ExportError: A value is not finite, or has more than one axis.
    """

    mean: np.ndarray
    scale: np.ndarray

    def __init__(
        self,
        mean: float | Sequence[float] | np.ndarray = 0.0,
        scale: float | Sequence[float] | np.ndarray = 1.0,
    ) -> None:
        for name, given in (("mean", mean), ("scale", scale)):
            value = np.array(given, dtype=np.float32)  # a copy: nobody else may change it
            if value.ndim > 1:
                raise ExportError(
                    f"{name}: expected a number or one for each channel, got shape {value.shape}",
                    given,
                )
            if not np.isfinite(value).all():
                raise ExportError(f"{name}: expected finite numbers, got {given}", given)
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        if self.mean.ndim and self.scale.ndim and self.mean.shape != self.scale.shape:
            raise ExportError(
                f"mean and scale: expected one length, got {self.mean.shape} and {self.scale.shape}"
            )

    @property
    def is_neutral(self) -> bool:
        """Whether everything stays as it is."""
        return not np.any(self.mean) and bool(np.all(self.scale == 1))

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Preprocesses raw features, shape (..., channels), in float32 like the exported model."""
        centred = np.asarray(x, dtype=np.float32) - self.mean
        return np.asarray(centred * self.scale, dtype=np.float32)

    def then(self, after: Preprocessing) -> Preprocessing:
        """Both in one: this one first.

        Raises:
            ExportError: This one scales something by zero, which leaves nothing to shift.
        """
        if not np.all(self.scale):
            raise ExportError("scale: expected numbers other than zero, to join two preprocessings")
        return Preprocessing(self.mean + after.mean / self.scale, self.scale * after.scale)

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers or lists, JSON-able."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Preprocessing:
        """Reads what `to_dict` gave."""
        return cls(state["mean"], state["scale"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Preprocessing):
            return NotImplemented
        return np.array_equal(self.mean, other.mean) and np.array_equal(self.scale, other.scale)

    def __hash__(self) -> int:
        return hash((self.mean.tobytes(), self.scale.tobytes()))
