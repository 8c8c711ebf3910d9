"""Operation names to Keras layers: the one registry, open to blocks of a user's own."""

from keras_nas.blocks.registry import make_layer, register_block

__all__ = ["make_layer", "register_block"]
