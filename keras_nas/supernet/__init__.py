"""Supernets: all architectures of a space trained at once, and gradient-based search in them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_nas.supernet.policies import (
        BinaryGatesPolicy,
        DirichletPolicy,
        FairPolicy,
        GivenPolicy,
        GumbelPolicy,
        PathPolicy,
        SigmoidPolicy,
        SoftmaxPolicy,
        UniformPolicy,
    )
    from keras_nas.supernet.regularization import BetaDecay, Entropy
    from keras_nas.supernet.supernet import Supernet

_POLICIES = (
    "BinaryGatesPolicy",
    "DirichletPolicy",
    "FairPolicy",
    "GivenPolicy",
    "GumbelPolicy",
    "PathPolicy",
    "SigmoidPolicy",
    "SoftmaxPolicy",
    "UniformPolicy",
)
# Imported when they are asked for: policies need no Keras.
_HOMES = {
    **dict.fromkeys(_POLICIES, "keras_nas.supernet.policies"),
    "BetaDecay": "keras_nas.supernet.regularization",
    "Entropy": "keras_nas.supernet.regularization",
    "Supernet": "keras_nas.supernet.supernet",
}

__all__ = [
    "BetaDecay",
    "BinaryGatesPolicy",
    "DirichletPolicy",
    "Entropy",
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
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
