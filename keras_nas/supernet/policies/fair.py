"""FairNAS: all alternatives of a decision trained once in every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keras_nas.supernet.policies.policy import Alphas, Array
from keras_nas.supernet.policies.uniform import UniformPolicy
from optuna_nas.supergraph import Alternatives


@dataclass(frozen=True)
class FairPolicy(UniformPolicy):
    """Strict fairness (Chu et al. 2021, algorithm 1).

    A step has as many passes as the largest choice has values. Each decision goes through a
    permutation of its values, or through several one after another where it has fewer, so that
    counts within a step differ by one at most. A decision that exists under one value of another
    is met as often as that value is drawn.
    """

    def paths(
        self,
        alternatives: Mapping[str, Alternatives],
        alphas: Alphas,
        progress: float,
        rng: np.random.Generator,
    ) -> list[dict[str, Array]]:
        choices = [d for d in alternatives.values() if d.options is None]
        # The subsets of branches are far more than the branches, which is what must be trained.
        passes = max((len(d.values) for d in choices or alternatives.values()), default=1)
        orders = {
            name: _turns(len(decision.values), passes, rng)
            for name, decision in alternatives.items()
        }
        return [
            {
                name: alternatives[name].hot(alternatives[name].values[o[k]])
                for name, o in orders.items()
            }
            for k in range(passes)
        ]


def _turns(count: int, passes: int, rng: np.random.Generator) -> Array:
    """Positions (passes,) of ``count`` values, each as often as any other within one."""
    rounds = -(-passes // count)
    turns: Array = np.concatenate([rng.permutation(count) for _ in range(rounds)])[:passes]
    return turns
