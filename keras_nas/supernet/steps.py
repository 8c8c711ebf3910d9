"""What the search asks of a backend: compiled steps and gradients of a supernetwork."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keras_nas._keras import keras
from optuna_nas.errors import SupernetError

if TYPE_CHECKING:
    from keras_nas.supernet.network import SuperNetwork

Batch = tuple[NDArray[Any], NDArray[Any]]
"""Features (examples, ...) and classes (examples,)."""
Score = tuple[float, float]
"""Mean cross-entropy and accuracy."""


@dataclass(frozen=True)
class Descent:
    """How weights descend: gradient descent with momentum, as DARTS has it.

    Args:
        momentum: Share of the last step that is taken again.
        weight_decay: Factor of the weights in their gradient (L2, not decoupled).
        clip_norm: Norm to which the gradient of the loss in all weights is cut.
    """

    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip_norm: float = 5.0


class Steps(ABC):
    """Steps of the weights, and gradients of the loss in the gates.

    Gates come as vectors over all decisions (`SuperNetwork.flat`).

    Args:
        network: Whose weights are trained.
        descent: How.
    """

    def __init__(self, network: SuperNetwork, descent: Descent) -> None:
        self._network = network
        self._descent = descent

    @abstractmethod
    def train(
        self, batch: Batch, gates: NDArray[Any], rate: float, *, hard: bool, auxiliary: float | None
    ) -> Score:
        """One step of the weights.

        Args:
            batch: Examples.
            gates: One vector or more, (sets, gates); the gradients of all are added up.
            rate: Learning rate.
            hard: Whether only the branches with the largest gates run.
            auxiliary: Weight of the further skip connections; None for none.
        """

    @abstractmethod
    def gate_gradient(
        self, batch: Batch, gates: NDArray[Any], *, hard: bool, auxiliary: float | None
    ) -> tuple[Score, NDArray[np.float64]]:
        """The loss and its gradient in the gates, (gates,), with the weights as they are."""

    @abstractmethod
    def unrolled_gate_gradient(
        self,
        train: Batch,
        validation: Batch,
        gates: NDArray[Any],
        rate: float,
        *,
        hard: bool,
        auxiliary: float | None,
    ) -> tuple[Score, NDArray[np.float64]]:
        """The validation loss after a step of the weights, and its gradient by `unrolled`.

        The weights are as before afterwards.
        """

    @abstractmethod
    def score(self, batch: Batch, gates: NDArray[Any], *, auxiliary: float | None) -> Score:
        """Of the mixture weighed by gates, with the statistics of the batch."""

    @property
    @abstractmethod
    def velocity(self) -> list[NDArray[Any]]:
        """Of the momentum, an array for each weight."""

    @velocity.setter
    @abstractmethod
    def velocity(self, arrays: list[NDArray[Any]]) -> None: ...


def steps_of(network: SuperNetwork, descent: Descent) -> Steps:
    """The steps that the backend in use has.

    Raises:
        SupernetError: It has none.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        from keras_nas.supernet._tensorflow import TensorFlowSteps

        return TensorFlowSteps(network, descent)
    if backend == "torch":
        from keras_nas.supernet._torch import TorchSteps

        return TorchSteps(network, descent)
    raise SupernetError(
        "Supernets are trained on the Keras backends 'tensorflow' and 'torch', not on "
        f"{backend!r}; set the environment variable KERAS_BACKEND before Keras is imported.",
        backend,
    )
