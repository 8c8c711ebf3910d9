"""All alternatives at once, all alike: a supernet to select from once it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keras_nas.supernet.policies.policy import Alphas, Array, PathPolicy, Sample
from optuna_nas.supergraph import Alternatives


@dataclass(frozen=True)
class EvenPolicy(PathPolicy):
    """The mixture of DARTS without alphas, from which perturbation selects (Wang et al. 2021).

    The paper's section 5: alphas that stay uniform do no worse than those that are learned, which
    shows that it was their reading that failed. What is not learned can't collapse.
    """

    hard = False
    learns = False
    selects = True

    def gates(
        self,
        alternatives: Mapping[str, Alternatives],
        alphas: Alphas,
        progress: float,
        rng: np.random.Generator,
    ) -> Sample:
        return Sample(self.mixture(alternatives, alphas))

    def mixture(self, alternatives: Mapping[str, Alternatives], alphas: Alphas) -> dict[str, Array]:
        """As in DARTS, the branches of a `Subset` are all added up."""
        return {
            name: np.full(decision.size, 1.0 if decision.options is not None else 1 / decision.size)
            for name, decision in alternatives.items()
        }
