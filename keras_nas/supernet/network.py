"""`SuperNetwork`: the weights of all architectures of a space, and its three forward passes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_nas._keras import keras
from keras_nas.blocks import make_layer
from keras_nas.blocks.registry import user_blocks
from keras_nas.build import seeded
from keras_nas.supernet.layer_calls import layer_calls
from keras_nas.supernet.walks import FixedWalk, HardWalk, SoftWalk, Statistics
from optuna_nas.graph import LayerSpec
from optuna_nas.supergraph import TAKE, SuperGraph
from optuna_nas.supergraph.structure import Gates, Place


class SuperNetwork:
    """Keras layers for every place of a supergraph, built at once.

    Which of them run is told by gates: a number an alternative, of each decision. Batch
    normalisation is by the statistics of the batch, in training and in evaluation, or by given
    ones: the statistics of one architecture are of no use to another.

    Args:
        graph: What is computed.
        affine: Whether batch normalisation inside cells and mixtures has a scale and an offset of
            its own. DARTS leaves them out, for they could undo the gates.
        seed: Seeds the initial weights and dropout; None draws one.
    """

    def __init__(self, graph: SuperGraph, *, affine: bool = False, seed: int | None = None) -> None:
        self.graph = graph
        self.calls = layer_calls()
        self.layers: dict[str, Any] = {}
        self.scales: dict[str, tuple[Any, Any]] = {}
        self.sizes = {name: of.size for name, of in graph.decisions.items()}
        with seeded(seed):
            for name, place in graph.places.items():
                if place.op not in ("batch_normalization", TAKE):
                    self.layers[name] = _built(name, place)
                elif place.op != TAKE and (affine or not place.decided):
                    self.scales[name] = _scale_and_offset(name, place)

    # --- weights ------------------------------------------------------------------------------

    @property
    def trainable_variables(self) -> list[Any]:
        """What is trained, as Keras variables, in the order of the graph's places."""
        found: list[Any] = []
        for name in self.graph.places:
            found += self.scales.get(name, ())
            found += self.layers[name].trainable_variables if name in self.layers else ()
        return found

    @property
    def variables(self) -> list[Any]:
        """What is trained and what else is kept: states of dropout, and of a user's own blocks."""
        others = [v for layer in self.layers.values() for v in layer.non_trainable_variables]
        return self.trainable_variables + others

    def count_params(self) -> int:
        """Trainable scalars."""
        return sum(math.prod(variable.shape) for variable in self.trainable_variables)

    # --- gates --------------------------------------------------------------------------------

    def flat(self, gates: Gates) -> NDArray[np.float32]:
        """Gates of all decisions in one vector, in the graph's order; zeros for those not given."""
        parts = [gates.get(name, np.zeros(size)) for name, size in self.sizes.items()]
        return np.concatenate([*parts, np.zeros(0)]).astype(np.float32)

    def by_decision(self, flat: Any) -> dict[str, NDArray[np.float64]]:
        """The reverse of `flat`."""
        ends = np.cumsum(list(self.sizes.values()), dtype=int)
        parts = np.split(np.asarray(flat, np.float64), ends[:-1])
        return dict(zip(self.sizes, parts, strict=False))

    def _scalars(self, flat: Any) -> Mapping[str, list[Any]]:
        total = sum(self.sizes.values())
        flat = keras.ops.convert_to_tensor(flat)
        numbers = iter(keras.ops.unstack(flat, total) if total else ())
        return {name: [next(numbers) for _ in range(size)] for name, size in self.sizes.items()}

    # --- forward ------------------------------------------------------------------------------

    def soft(self, x: Any, gates: Any, *, training: bool = True, auxiliary: Any = None) -> Any:
        """Logits (batch, classes) of the mixture of all alternatives, weighed by gates.

        Args:
            x: Tensor (batch, *input shape).
            gates: Tensor: all gates in one vector.
            training: Whether dropout drops.
            auxiliary: Weight, a scalar tensor, of a further skip connection beside each mixture
                that keeps its input's shape (DARTS-, Chu et al. 2021, eq. 6); None for none.
        """
        return SoftWalk(self, self._scalars(gates), training=training, auxiliary=auxiliary).run(x)

    def hard(self, x: Any, gates: Any, *, training: bool = True) -> Any:
        """Logits (batch, classes) of the one architecture with the largest gates.

        Only its layers run. Their outputs are multiplied by their gates, so that these have
        gradients (GDAS, Dong & Yang 2019, eq. 7).
        """
        return HardWalk(self, self._scalars(gates), training=training).run(x)

    def fixed(
        self,
        x: Any,
        gates: Gates,
        *,
        statistics: Statistics | None = None,
        record: Statistics | None = None,
    ) -> Any:
        """Logits (batch, classes) of one architecture known in advance, at once, for inference.

        Args:
            x: Tensor (batch, *input shape).
            gates: Of the architecture, each 0 or 1.
            statistics: Those that batch normalisation takes; None: those of the batch.
            record: Takes the statistics of the batch.
        """
        return FixedWalk(self, gates, statistics, record).run(x)


def _built(name: str, place: Place) -> Any:
    spec = LayerSpec(_layer_name(name), place.op, place.attributes)
    layer = make_layer(spec, place.inputs)
    if layer.built:
        return layer
    if place.op in user_blocks():  # may know how to build its parts only by being called
        inputs = [keras.KerasTensor((None, *shape)) for shape in place.inputs]
        layer(inputs if len(inputs) > 1 else inputs[0])
    else:
        shapes = [(None, *shape) for shape in place.inputs]
        layer.build(shapes if len(shapes) > 1 else shapes[0])
    return layer


def _scale_and_offset(name: str, place: Place) -> tuple[Any, Any]:
    channels = place.inputs[0][-1:]
    name = _layer_name(name)
    return (
        keras.Variable("ones", shape=channels, name=f"{name}_gamma"),
        keras.Variable("zeros", shape=channels, name=f"{name}_beta"),
    )


def _layer_name(place: str) -> str:
    """A place's name as Keras and its backends allow it."""
    return re.sub("[^A-Za-z0-9]+", "_", place)
