"""A registered block joins a supernet by itself; a part of the channels is no architecture."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from tiny import CHOICE, examples

from keras_nas import Supernet, register_block
from keras_nas.supernet import SoftmaxPolicy
from keras_nas.training import predict
from optuna_nas import Choice, SearchSpace
from optuna_nas.errors import SupernetError
from optuna_nas.space import Cell, Edge, conv, global_average_pooling, identity, layer

X, Y = examples(24)


@register_block("gated_for_supernets")
def gated(filters: int) -> keras.layers.Layer:
    """A model of two layers."""
    return keras.Sequential(
        [
            keras.layers.Conv2D(filters, 3, padding="same", activation="sigmoid"),
            keras.layers.Conv2D(filters, 1, use_bias=False),
        ]
    )


@register_block("noisy_for_supernets")
def noisy(rate: float) -> keras.layers.Layer:
    """A layer that is another one in training, and has a state."""
    return keras.layers.GaussianDropout(rate)


def own_space() -> SearchSpace:
    kinds = {
        "plain": conv(4),
        "gated": layer("gated_for_supernets", filters=Choice("filters", [2, 4])),
        "noisy": layer("noisy_for_supernets", rate=0.2),
    }
    body = [conv(4), Choice("kind", kinds), conv(4, 1), global_average_pooling()]
    return SearchSpace("own", input_shape=(6, 6, 2), classes=3, body=body)


@pytest.mark.parametrize("policy", ["softmax", "gumbel"])
def test_own_blocks_are_trained_evaluated_and_extracted(policy: str) -> None:
    space = own_space()
    supernet = Supernet(space, policy=policy, seed=0)
    before = [np.array(variable) for variable in supernet.network.trainable_variables]

    supernet.fit(X, Y, epochs=3, batch_size=12, learning_rate=0.1, progress=False)

    after = [np.array(variable) for variable in supernet.network.trainable_variables]
    assert sum(np.abs(a - b).max() > 1e-6 for a, b in zip(after, before, strict=True)) >= 10
    assert space.feasible(supernet.genotype())
    for genotype in space.genotypes():
        alone = supernet.extract(genotype, calibration=X)
        trained = sum(int(np.prod(weight.shape)) for weight in alone.trainable_weights)
        assert trained == space.graph(genotype).params
        accuracy = supernet.evaluate(genotype, X, Y, calibration=X)[1]
        assert (predict(alone, X).argmax(1) == Y).mean() == pytest.approx(accuracy)


def test_part_of_the_channels_finds_an_architecture_but_is_none() -> None:
    operations = {"skip": identity(), "conv": conv(4)}
    cell = Cell("cell", [Edge(0, Choice("first", operations)), Edge(1, Choice("op", operations))])
    space = SearchSpace(
        "cell", input_shape=(6, 6, 2), classes=3, body=[conv(4), cell, global_average_pooling()]
    )
    supernet = Supernet(space, partial=2, policy=SoftmaxPolicy(edge_gates=True), seed=0)
    assert supernet.count_params() < Supernet(space, seed=0).count_params()

    supernet.fit(X, Y, epochs=1, batch_size=12, progress=False)

    found = supernet.genotype()
    assert set(found) == {"cell/first", "cell/op"}
    for use in (
        lambda: supernet.evaluate(found, X, Y),
        lambda: supernet.extract(found, calibration=X),
    ):
        with pytest.raises(SupernetError, match="partial=2 can't"):
            use()
    with pytest.raises(SupernetError, match="partial must be 1 or more, got 0"):
        Supernet(CHOICE, partial=0)
    with pytest.raises(SupernetError, match="does not divide the 4 channels"):
        Supernet(space, partial=3)


def test_whole_numbers_will_do_for_rates() -> None:
    supernet = Supernet(CHOICE, seed=0)
    rates = {"momentum": 0, "weight_decay": 0, "clip_norm": 5, "learning_rate": 1}
    (figures,) = supernet.fit(X, Y, epochs=1, batch_size=12, progress=False, **rates)
    assert np.isfinite(figures["loss"])
