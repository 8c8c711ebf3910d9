"""One architecture out of a supernet: calibrated, evaluated, and on its own as a Keras model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from keras_nas._keras import keras
from keras_nas.build import build_model
from keras_nas.supernet.examples import Examples
from keras_nas.supernet.network import SuperNetwork
from keras_nas.supernet.walks import Statistics
from optuna_nas.space import Genotype
from optuna_nas.supergraph import Gates, SuperLayer


def calibrated(
    network: SuperNetwork, genotype: Genotype, images: NDArray[Any], batch_size: int
) -> Statistics:
    """Statistics of an architecture's batch normalisations, averaged over batches of images.

    Those of the supernet are of no use to a single path (Guo et al. 2020, section 3.3).
    """
    statistics = Statistics()
    gates = network.graph.hot(genotype)
    for part in _parts(len(images), batch_size):
        network.fixed(keras.ops.convert_to_tensor(images[part]), gates, record=statistics)
    return statistics


def score(
    network: SuperNetwork,
    genotype: Genotype,
    examples: Examples,
    statistics: Statistics | None,
    batch_size: int,
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of an architecture with the supernet's weights."""
    gates = network.graph.hot(genotype)
    totals = np.zeros(2)
    for part in _parts(len(examples), batch_size):
        images = keras.ops.convert_to_tensor(examples.x[part])
        logits = keras.ops.convert_to_numpy(network.fixed(images, gates, statistics=statistics))
        totals += _sums(logits.astype(np.float64), examples.y[part])
    loss, accuracy = totals / len(examples)
    return float(loss), float(accuracy)


def _parts(count: int, size: int) -> Iterator[slice]:
    """Parts of nearly one size, for statistics of a small rest would be poor."""
    edges = np.linspace(0, count, math.ceil(count / size) + 1).round().astype(int)
    return (slice(start, end) for start, end in itertools.pairwise(edges))


def _sums(logits: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums of cross-entropies and hits for logits (examples, classes)."""
    losses = logsumexp(logits, axis=-1) - logits[np.arange(len(y)), y]
    return np.array([losses.sum(), (logits.argmax(-1) == y).sum()])


def extracted(
    network: SuperNetwork, genotype: Genotype, statistics: Statistics, *, name: str
) -> Any:
    """A Keras model of an architecture, with the supernet's weights.

    Args:
        network: Whose weights.
        genotype: The architecture.
        statistics: Become the moving statistics of its batch normalisations.
        name: The model's name.
    """
    model = build_model(network.graph.space.graph(genotype), seed=0, name=name)
    built = {layer.name: layer for layer in model.layers}
    gates = network.graph.hot(genotype)
    for own, shared in network.graph.placed(genotype).items():
        if own in built:
            weights = _weights(network, shared, statistics)
            shapes = [weight.shape for weight in built[own].weights]
            read, given = (_in_use(network, v, gates) for v in (shared.inputs[0], shared.name))
            built[own].set_weights(
                [_cut(w, shape, read, given) for w, shape in zip(weights, shapes, strict=True)]
            )
    return model


def _weights(
    network: SuperNetwork, shared: SuperLayer, statistics: Statistics
) -> list[NDArray[Any]]:
    """Weights of a layer, in Keras's order."""
    if shared.op != "batch_normalization":
        return [keras.ops.convert_to_numpy(w) for w in network.layers[shared.place].weights]
    mean, variance = map(keras.ops.convert_to_numpy, statistics.of(shared.name))
    scale, offset = (
        map(keras.ops.convert_to_numpy, network.scales[shared.place])
        if shared.place in network.scales
        else (np.ones_like(mean), np.zeros_like(mean))
    )
    return [scale, offset, mean, variance]


def _in_use(network: SuperNetwork, value: str, gates: Gates) -> NDArray[np.bool_]:
    """Which channels (channels,) of a value are in use."""
    width = network.graph.widths.get(value)
    channels = network.graph.shapes[value][-1]
    return np.ones(channels, bool) if width is None else width.mask(gates) > 0.5


def _cut(
    weight: NDArray[Any],
    shape: tuple[int, ...],
    read: NDArray[np.bool_],
    given: NDArray[np.bool_],
) -> NDArray[Any]:
    """The part of a weight (..., channels read, channels given) that a narrower layer has."""
    for axis, used in ((-1, given), (-2, read)):
        if len(shape) >= -axis and weight.shape[axis] != shape[axis]:
            weight = np.compress(used, weight, axis)
    return weight
