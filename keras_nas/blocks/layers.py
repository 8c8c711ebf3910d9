"""The Keras layer of every operation of the graph: plain ones, so saved models need Keras alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_nas._keras import keras
from keras_nas.blocks.builders import Builder
from keras_nas.blocks.builders import plain as _plain
from keras_nas.blocks.sequence_layers import SEQUENCE_BUILDERS
from optuna_nas.graph import Shape

_layers = keras.layers


def _image(make: Callable[..., Any]) -> Builder:
    """A layer on images, channels last whatever the user's Keras is set to."""
    return _plain(make, data_format="channels_last")


def _activation(name: str, attributes: Mapping[str, Any], _inputs: Sequence[Shape]) -> Any:
    return _layers.Activation(attributes["function"], name=name)


def _zero(name: str, _attributes: Mapping[str, Any], _inputs: Sequence[Shape]) -> Any:
    return _layers.Rescaling(0.0, name=name)


def _slice_channels(name: str, attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> Any:
    # Cropping knows no axis of channels; told that the first axis is it, it crops the last.
    dropped = inputs[0][-1] - attributes["channels"]
    return _layers.Cropping2D(((0, 0), (0, dropped)), data_format="channels_first", name=name)


def _merge(make: Callable[..., Any]) -> Builder:
    """A merge of any number of inputs; Keras wants two, and one merges to itself."""

    def build(name: str, _attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> Any:
        return make(name=name) if len(inputs) > 1 else _layers.Identity(name=name)

    return build


BUILDERS: dict[str, Builder] = {
    "conv2d": _image(_layers.Conv2D),
    "depthwise_conv2d": _image(_layers.DepthwiseConv2D),
    "dense": _plain(_layers.Dense),
    "batch_normalization": _plain(_layers.BatchNormalization),
    "layer_normalization": _plain(_layers.LayerNormalization),
    "activation": _activation,
    "max_pooling2d": _image(_layers.MaxPooling2D),
    "average_pooling2d": _image(_layers.AveragePooling2D),
    "global_average_pooling2d": _image(_layers.GlobalAveragePooling2D),
    "global_max_pooling2d": _image(_layers.GlobalMaxPooling2D),
    "flatten": _image(_layers.Flatten),
    "dropout": _plain(_layers.Dropout),
    "reshape": _plain(_layers.Reshape),
    "zero_padding2d": _image(_layers.ZeroPadding2D),
    "cropping2d": _image(_layers.Cropping2D),
    "slice_channels": _slice_channels,
    "identity": _plain(_layers.Identity),
    "zero": _zero,
    "add": _merge(_layers.Add),
    "multiply": _merge(_layers.Multiply),
    "concatenate": _merge(_layers.Concatenate),
    **SEQUENCE_BUILDERS,
}
