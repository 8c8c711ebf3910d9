"""Policies by the names of the methods that they come from."""

from __future__ import annotations

from collections.abc import Callable

from keras_nas.supernet.policies import (
    BinaryGatesPolicy,
    DirichletPolicy,
    EvenPolicy,
    FairPolicy,
    GumbelPolicy,
    PathPolicy,
    SigmoidPolicy,
    SoftmaxPolicy,
    UniformPolicy,
)
from optuna_nas.errors import SupernetError

POLICIES: dict[str, Callable[[], PathPolicy]] = {
    "even": EvenPolicy,
    "softmax": SoftmaxPolicy,
    "gumbel": GumbelPolicy,
    "binary_gates": BinaryGatesPolicy,
    "dirichlet": DirichletPolicy,
    "sigmoid": SigmoidPolicy,
    "uniform": UniformPolicy,
    "fair": FairPolicy,
}


def policy_of(policy: str | PathPolicy) -> PathPolicy:
    """A policy as it is, or by its name.

    Raises:
        SupernetError: There is none of that name.
    """
    if isinstance(policy, PathPolicy):
        return policy
    if policy not in POLICIES:
        raise SupernetError(
            f"policy must be a PathPolicy or one of {', '.join(POLICIES)}; got {policy!r}.", policy
        )
    return POLICIES[policy]()
