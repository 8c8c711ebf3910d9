"""Classic methods, each with a supernet of the same size and about as many steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_nas.supernet import Supernet
from oneshot.images import Images
from optuna_nas.space import Genotype, SearchSpace

ALPHA_RATE = 3e-3
"""Ten times that of the papers, whose searches take fifty times as many steps."""
DRAWN = 100
"""Architectures ranked with the weights of a supernet that has no alphas."""
CALIBRATION = 256


@dataclass(frozen=True)
class Found:
    """What a search ends with.

    Args:
        genotype: The architecture.
        alarm: Why the supernet says that it has collapsed, else "".
    """

    genotype: Genotype
    alarm: str


@dataclass(frozen=True)
class Method:
    """How a supernet is made, trained, and read.

    Args:
        options: Of `Supernet`.
        preparation: Of `Supernet.fit`.
        length: Epochs, as a multiple of those of a mixture.
        ranks: Whether the architecture is the best of some drawn, not what the supernet says.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    preparation: Mapping[str, Any] = field(default_factory=dict)
    length: int = 1
    ranks: bool = False

    def trained(self, space: SearchSpace, images: Images, epochs: int, seed: int) -> Supernet:
        """A supernet whose weights learn from the first half of the images, alphas from the other.

        Args:
            space: The space.
            images: Only those to search with are read.
            epochs: Of a mixture.
            seed: Of the supernet.
        """
        half, epochs = len(images.x) // 2, epochs * self.length
        supernet = Supernet(space, seed=seed, **self.options)
        preparation = dict(self.preparation)
        if share := preparation.pop("warm_up", None):
            preparation["alpha_start"] = round(share * epochs)
        if not self.ranks:
            preparation["validation_data"] = images.x[half:], images.y[half:]
            preparation["alpha_learning_rate"] = ALPHA_RATE
        supernet.fit(images.x[:half], images.y[:half], epochs=epochs, progress=False, **preparation)
        return supernet

    def search(self, space: SearchSpace, images: Images, epochs: int, seed: int) -> Found:
        """Train a supernet, and read an architecture off it."""
        supernet = self.trained(space, images, epochs, seed)
        if self.ranks:
            return Found(by_ranking(supernet, images, np.random.default_rng(seed)), "")
        return Found(supernet.genotype(), str(supernet.status()["alarm"]))


def by_ranking(supernet: Supernet, images: Images, rng: np.random.Generator) -> Genotype:
    """The best of some drawn, with recalibrated batch normalisation (SPOS)."""
    half = len(images.x) // 2
    calibration = images.x[:CALIBRATION]
    drawn = [supernet.space.sample(rng) for _ in range(DRAWN)]
    held = slice(half, half + 1000)
    losses = [
        supernet.evaluate(one, images.x[held], images.y[held], calibration=calibration)[0]
        for one in drawn
    ]
    return drawn[int(np.argmin(losses))]


PLAIN: dict[str, Any] = {"policy": "softmax", "regularization": ()}
METHODS: dict[str, Method] = {
    # DARTS-PT on an even mixture.
    "default": Method(),
    "DARTS": Method(PLAIN),
    "beta-DARTS": Method({"policy": "softmax"}),
    "GDAS": Method({**PLAIN, "policy": "gumbel"}),
    "DARTS-": Method({**PLAIN, "auxiliary_skip": "linear"}),
    "DrNAS": Method({**PLAIN, "policy": "dirichlet"}),
    "ProxylessNAS": Method(
        {**PLAIN, "policy": "binary_gates"}, {"warm_up": 0.33, "alpha_betas": (0.0, 0.999)}
    ),
    # Each operation is trained in one step of five; FairNAS trains all five in a step.
    "SPOS": Method({"policy": "uniform"}, length=5, ranks=True),
    "FairNAS": Method({"policy": "fair"}, ranks=True),
}
