"""SPOS: one path at a time, drawn uniformly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keras_nas.supernet.policies.policy import Alphas, PathPolicy, Sample, draw
from optuna_nas.supergraph import Alternatives


@dataclass(frozen=True)
class UniformPolicy(PathPolicy):
    """Uniform single paths (Guo et al. 2020): every value of every decision alike."""

    hard = True
    learns = False

    def gates(
        self,
        alternatives: Mapping[str, Alternatives],
        alphas: Alphas,
        progress: float,
        rng: np.random.Generator,
    ) -> Sample:
        drawn = {name: draw(decision, rng) for name, decision in alternatives.items()}
        return Sample(drawn)
