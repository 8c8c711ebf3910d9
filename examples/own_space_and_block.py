"""A space of one's own, with a block of one's own."""

import keras
import numpy as np

from keras_nas import build_model, register_block
from optuna_nas import Choice, Repeat, SearchSpace
from optuna_nas.space import conv, global_average_pooling, layer, residual


@register_block("gated_conv")
def gated_conv(filters: int) -> keras.layers.Layer:
    return keras.layers.Conv2D(filters, 3, padding="same", activation="sigmoid")


space = SearchSpace(
    "mine",
    input_shape=(8, 8, 1),
    classes=10,
    body=[
        conv(filters=Choice("stem", [16, 32])),
        Repeat("stage", 1, 4, Choice("block", {
            "plain": conv(kernel=Choice("kernel", [3, 5])),
            "residual": residual(conv()),
            "gated": layer("gated_conv", filters=Choice("filters", [16, 32])),
        })),
        global_average_pooling(),
    ],
)  # fmt: skip

genotype = space.sample(np.random.default_rng(1))
graph = space.graph(genotype)
print(space)
print(genotype.params)
print(graph)
print("Keras counts", build_model(graph).count_params() - graph.non_trainable_params)
