"""Supernets: all architectures of a space trained at once, and gradient-based search in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_nas.supernet.policies import (
    BinaryGatesPolicy,
    DirichletPolicy,
    EvenPolicy,
    FairPolicy,
    GivenPolicy,
    GumbelPolicy,
    PathPolicy,
    SigmoidPolicy,
    SoftmaxPolicy,
    UniformPolicy,
)
from keras_nas.supernet.regularization import BetaDecay, Entropy

if TYPE_CHECKING:
    from keras_nas.supernet.supernet import Supernet

__all__ = [
    "BetaDecay",
    "BinaryGatesPolicy",
    "DirichletPolicy",
    "Entropy",
    "EvenPolicy",
    "FairPolicy",
    "GivenPolicy",
    "GumbelPolicy",
    "PathPolicy",
    "SigmoidPolicy",
    "SoftmaxPolicy",
    "Supernet",
    "UniformPolicy",
]


def __getattr__(name: str) -> Any:
    if name != "Supernet":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported when it is asked for: all else here does without Keras.
    from keras_nas.supernet.supernet import Supernet

    return Supernet
