"""How many decisions change from a parent to its child."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from optuna_nas.search.encoding import Domains, Encoding, Params
from optuna_nas.space.decisions import Value

# An edit that undoes another one is drawn anew, this often: all do when nothing is left to edit.
REDRAWS = 30


def mutate(
    params: Params,
    domains: Domains,
    free: Collection[str],
    encoding: Encoding,
    rng: np.random.Generator,
    rate: float | None = None,
) -> dict[str, Value] | None:
    """A child that differs from `params`; None if nothing can change.

    Args:
        params: Decisions of the parent.
        domains: What each of them can be.
        free: Names of those that may change.
        encoding: How candidates vary.
        rng: Source of randomness.
        rate: None edits one decision, drawn uniformly (Real et al. 2019). Otherwise each decision
            changes with this probability, independently, given that one changes at all; where
            edits are structural (a copy of a block put in), the rate is of edits, a decision each.
    """
    child = encoding.mutate(params, domains, free, rng)
    if child is None or rate is None:
        return child
    movable = sum(name in free and name in domains and domains[name].size > 1 for name in params)
    for _ in range(_edits(movable, rate, rng) - 1):
        for _ in range(REDRAWS):
            further = encoding.mutate(child, domains, free, rng)
            if further is not None and _distance(further, params) > _distance(child, params):
                child = further
                break
    return child


def _edits(movable: int, rate: float, rng: np.random.Generator) -> int:
    """A binomial number of edits, given that there is one."""
    if rate * movable < 1e-6:  # the binomial would hardly ever be more than 0
        return 1
    while (edits := int(rng.binomial(movable, rate))) == 0:
        pass
    return edits


def _distance(a: Params, b: Params) -> int:
    """Number of decisions in which two candidates differ, or that only one of them took."""
    common = a.keys() & b.keys()
    return len(a) + len(b) - 2 * len(common) + sum(a[name] != b[name] for name in common)
