"""A prior-fitted network: trained on synthetic curves alone, it answers with the posterior.

The approach is that of Adriaensen et al. 2023 (https://arxiv.org/abs/2310.20447), with a small
perceptron on a summary of the curve in place of a transformer on its points. The prior and the
training are in ``tools/curve_network``, and one command reproduces the file that is used here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_nas.curves.closed_form import ClosedForm
from optuna_nas.curves.curve import Curve
from optuna_nas.curves.network_inputs import DEGREES, network_inputs
from optuna_nas.curves.posterior import Posterior
from optuna_nas.errors import CurveError

Array = NDArray[np.float64]

FILE = "curve_network.onnx"
MOST_POINTS = 200  # it was trained on no more; of longer curves every so many-th is taken
# As in training; beyond this, sinh and exp would overflow.
FARTHEST = 11.0  # asinh of a location
NARROWEST, WIDEST = -12.0, 10.0  # log scales


@dataclass(frozen=True)
class Network:
    """The network; it takes no notice of the peers. Needs ONNX Runtime."""

    def fit(self, peers: Sequence[Curve], horizon: float) -> NetworkPredictor:
        """Peers only say how large differences are for a curve without any."""
        return NetworkPredictor(horizon, tuple(peers))


@dataclass(frozen=True, eq=False)
class NetworkPredictor:
    """`Network` of one study."""

    horizon: float
    peers: tuple[Curve, ...] = ()

    def predict(self, curve: Curve) -> Posterior:
        """A mixture of a few Student-t distributions.

        Raises:
            CurveError: If ONNX Runtime is not installed.
        """
        session = _session()
        steps, losses = curve.steps, curve.losses
        if len(curve) > MOST_POINTS:
            kept = np.linspace(0, len(curve) - 1, MOST_POINTS).round().astype(int)
            steps, losses = steps[kept], losses[kept]
        x, origins, units = network_inputs(steps, losses[None], self.horizon)
        if units[0] == 0.0:  # nothing that the network could take as a unit, nor was trained on
            return ClosedForm().fit(self.peers, self.horizon).predict(curve)
        (outputs,) = session.run(None, {session.get_inputs()[0].name: x.astype(np.float32)})
        logits, places, logs = np.split(outputs[0].astype(np.float64), 3)
        weights = np.exp(logits - logits.max())
        locations = np.sinh(np.clip(places, -FARTHEST, FARTHEST))
        scales = np.exp(np.clip(logs, NARROWEST, WIDEST))
        return Posterior(
            weights / weights.sum(),
            origins[0] + units[0] * locations,
            units[0] * scales,
            DEGREES,
            maximize=False,
        )


@lru_cache(maxsize=1)
def _session() -> Any:
    try:
        import onnxruntime  # an extra
    except ImportError as error:
        raise CurveError(
            'method: "network" runs in ONNX Runtime, which is not installed; install '
            "optuna-nas[onnx], or choose another method.",
            "network",
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # threads would cost more than so small a network
    options.inter_op_num_threads = 1
    content = files("optuna_nas.curves").joinpath(FILE).read_bytes()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
