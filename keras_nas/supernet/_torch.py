"""A supernet's steps and gradients in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from keras_nas._keras import keras
from keras_nas.supernet.network import SuperNetwork
from keras_nas.supernet.steps import Batch, Descent, Score, Steps
from keras_nas.supernet.unrolled import unrolled_gradient


class TorchSteps(Steps):
    """Steps on the PyTorch backend."""

    def __init__(self, network: SuperNetwork, descent: Descent) -> None:
        super().__init__(network, descent)
        self._weights = [variable.value for variable in network.trainable_variables]
        self._velocity = [torch.zeros_like(weight) for weight in self._weights]

    def train(
        self, batch: Batch, gates: NDArray[Any], rate: float, *, hard: bool, auxiliary: float | None
    ) -> Score:
        """One step of the weights."""
        results = [self._gradients(batch, one, hard, auxiliary, weights=True) for one in gates]
        sums = [sum(parts) for parts in zip(*(g for _, g, _ in results), strict=True)]
        norm = torch.sqrt(sum((gradient**2).sum() for gradient in sums))
        share = torch.clamp(self._descent.clip_norm / norm, max=1.0)
        with torch.no_grad():
            for weight, velocity, gradient in zip(self._weights, self._velocity, sums, strict=True):
                step = gradient * share + weight * self._descent.weight_decay
                velocity.mul_(self._descent.momentum).add_(step)
                weight.sub_(velocity * rate)
        loss, accuracy = np.mean([score for score, *_ in results], axis=0)
        return float(loss), float(accuracy)

    def gate_gradient(
        self, batch: Batch, gates: NDArray[Any], *, hard: bool, auxiliary: float | None
    ) -> tuple[Score, NDArray[np.float64]]:
        """The loss and its gradient in the gates."""
        score, _, gradient = self._gradients(batch, gates, hard, auxiliary, weights=False)
        return score, _array(gradient)

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
        """The validation loss after a step of the weights, and its second-order gradient."""
        start = [weight.detach().clone() for weight in self._weights]
        scores: list[Score] = []

        def gradients(batch: Batch) -> Callable[[Sequence[Any]], tuple[list[Any], Any]]:
            def at(values: Sequence[Any]) -> tuple[list[Any], Any]:
                self._assign(values)
                score, of_weights, of_gates = self._gradients(
                    batch, gates, hard, auxiliary, weights=True
                )
                scores.append(score)
                return of_weights, of_gates

            return at

        gradient = unrolled_gradient(
            gradients(train),
            gradients(validation),
            start,
            self._velocity,
            rate=rate,
            momentum=self._descent.momentum,
            weight_decay=self._descent.weight_decay,
        )
        self._assign(start)
        return scores[1], _array(gradient)

    def score(self, batch: Batch, gates: NDArray[Any], *, auxiliary: float | None) -> Score:
        """Of the mixture weighed by gates."""
        x, y, flat = _tensors(*batch, gates)
        with torch.no_grad():
            logits = self._network.soft(x, flat, training=False, auxiliary=auxiliary)
            return _loss_and_accuracy(y, logits)[1]

    @property
    def velocity(self) -> list[NDArray[Any]]:
        """Of the momentum, an array for each weight."""
        return [velocity.cpu().numpy().copy() for velocity in self._velocity]

    @velocity.setter
    def velocity(self, arrays: list[NDArray[Any]]) -> None:
        for velocity, array in zip(self._velocity, arrays, strict=True):
            velocity.copy_(torch.as_tensor(array))

    def _assign(self, values: Sequence[Any]) -> None:
        with torch.no_grad():
            for weight, value in zip(self._weights, values, strict=True):
                weight.copy_(value)

    def _gradients(
        self,
        batch: Batch,
        gates: NDArray[Any],
        hard: bool,
        auxiliary: float | None,
        *,
        weights: bool,
    ) -> tuple[Score, list[Any], Any]:
        x, y, flat = _tensors(*batch, gates)
        flat.requires_grad_(True)
        sources = [*self._weights, flat] if weights else [flat]
        with torch.enable_grad():
            if hard:
                logits = self._network.hard(x, flat)
            else:
                logits = self._network.soft(x, flat, auxiliary=auxiliary)
            loss, score = _loss_and_accuracy(y, logits)
        found = torch.autograd.grad(loss, sources, allow_unused=True)
        *of_weights, of_gates = [
            torch.zeros_like(source) if gradient is None else gradient
            for source, gradient in zip(sources, found, strict=True)
        ]
        return score, of_weights, of_gates


def _tensors(x: Any, y: Any, gates: Any) -> tuple[Any, Any, Any]:
    """Tensors on the device of Keras, gates as float32."""
    convert = keras.ops.convert_to_tensor
    return convert(x), convert(y), convert(np.asarray(gates, np.float32))


def _loss_and_accuracy(labels: Any, logits: Any) -> tuple[Any, Score]:
    loss = torch.nn.functional.cross_entropy(logits, labels)
    accuracy = (logits.argmax(-1) == labels).float().mean()
    return loss, (loss.item(), accuracy.item())


def _array(tensor: Any) -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.detach().cpu().numpy().astype(np.float64)
    return array
