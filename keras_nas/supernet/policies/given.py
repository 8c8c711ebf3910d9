"""ENAS and others: paths drawn by somebody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from keras_nas.supernet.policies.policy import Alphas, Array, Sample
from keras_nas.supernet.policies.uniform import UniformPolicy
from optuna_nas.errors import SupernetError
from optuna_nas.space.decisions import Value
from optuna_nas.supergraph import Alternatives


@dataclass(frozen=True)
class GivenPolicy(UniformPolicy):
    """Paths from a controller, whose learning is its own affair (Pham et al. 2018).

    Args:
        draw: ``(generator) -> decisions taken``, such as a `Genotype`; those that don't exist in
            the architecture are left out.
    """

    draw: Callable[[np.random.Generator], Mapping[str, Value]]

    def gates(
        self,
        alternatives: Mapping[str, Alternatives],
        alphas: Alphas,
        progress: float,
        rng: np.random.Generator,
    ) -> Sample:
        """Gates of the architecture drawn; all 0 for decisions that don't exist in it.

        Raises:
            SupernetError: A value drawn is none of its decision's.
        """
        drawn = self.draw(rng)
        gates: dict[str, Array] = {}
        for name, decision in alternatives.items():
            if name in drawn and drawn[name] not in decision.values:
                raise SupernetError(
                    f"GivenPolicy: draw gave {drawn[name]!r} for {name!r}, expected one of "
                    f"{list(decision.values)}.",
                    drawn[name],
                )
            gates[name] = decision.hot(drawn[name]) if name in drawn else np.zeros(decision.size)
        return Sample(gates)
