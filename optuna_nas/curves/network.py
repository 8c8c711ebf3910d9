"""A prior-fitted network: trained on synthetic curves alone, it answers with the posterior.

The approach is that of Adriaensen et al. 2023 (https://arxiv.org/abs/2310.20447), with a small
perceptron on a summary of the curve in place of a transformer on its points. The prior and the
training are in ``tools/curve_network``, and one command reproduces the file that is used here.

The file is ONNX and any runtime can run it. Here that is done in NumPy: eight small matrices are no
reason for a dependency, and a study's decisions can't depend on what else is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from optuna_nas.curves.closed_form import ClosedForm
from optuna_nas.curves.curve import Curve
from optuna_nas.curves.network_inputs import DEGREES, network_inputs
from optuna_nas.curves.posterior import Posterior
from optuna_nas.curves.weights import read_weights

Array = NDArray[np.float64]

FILE = "curve_network.onnx"
MOST_POINTS = 200  # it was trained on no more; of longer curves every so many-th is taken
FARTHEST_RANGES = 5.0  # no component is farther off, nor wider, in ranges of the curve
# As in training; beyond this, sinh and exp would overflow.
FARTHEST = 11.0  # asinh of a location
NARROWEST, WIDEST = -12.0, 10.0  # log scales


@dataclass(frozen=True)
class Network:
    """The network; it takes no notice of the peers."""

    def fit(self, peers: Sequence[Curve], horizon: float) -> NetworkPredictor:
        """Peers only say how large differences are for a curve without any."""
        return NetworkPredictor(horizon, tuple(peers))


@dataclass(frozen=True, eq=False)
class NetworkPredictor:
    """`Network` of one study."""

    horizon: float
    peers: tuple[Curve, ...] = ()

    def predict(self, curve: Curve) -> Posterior:
        """A mixture of a few Student-t distributions."""
        steps, losses = curve.steps, curve.losses
        if len(curve) > MOST_POINTS:
            kept = np.linspace(0, len(curve) - 1, MOST_POINTS).round().astype(int)
            steps, losses = steps[kept], losses[kept]
        inputs = network_inputs(steps, losses[None], self.horizon)
        unit = float(inputs.unit[0])
        if unit == 0.0:  # nothing that the network could take as a unit, nor was trained on
            return ClosedForm().fit(self.peers, self.horizon).predict(curve)
        logits, places, logs = np.split(forward(inputs.features[0]), 3)
        weights = np.exp(logits - logits.max())
        far = FARTHEST_RANGES * float(inputs.reach[0])
        locations = np.clip(np.sinh(np.clip(places, -FARTHEST, FARTHEST)), -far, far)
        scales = np.minimum(np.exp(np.clip(logs, NARROWEST, WIDEST)), far)
        return Posterior(
            weights / weights.sum(),
            curve.last + unit * locations,
            unit * scales,
            DEGREES,
            maximize=False,
        )


def forward(features: Array) -> Array:
    """The network: a dense layer, residual blocks of two, and a dense layer.

    Args:
        features: Shape ``(FEATURES,)``.

    Returns:
        Logits, asinh of the locations and log scales of the components, one after the other.
    """
    (kernel, bias), *blocks, (last_kernel, last_bias) = _layers()
    x = np.maximum(features @ kernel + bias, 0.0)
    for (first, first_bias), (second, second_bias) in zip(blocks[::2], blocks[1::2], strict=True):
        y = np.maximum(x @ first + first_bias, 0.0)
        x = np.maximum(x + y @ second + second_bias, 0.0)
    outputs: Array = x @ last_kernel + last_bias
    return outputs


@lru_cache(maxsize=1)
def _layers() -> tuple[tuple[Array, Array], ...]:
    """Kernels and biases in the order of the layers."""
    content = files("optuna_nas.curves").joinpath(FILE).read_bytes()
    tensors = list(read_weights(content).values())
    return tuple(zip(tensors[::2], tensors[1::2], strict=True))
