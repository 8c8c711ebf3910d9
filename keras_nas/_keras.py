"""Keras, imported without its backend's chatter: everything here takes `keras` from this module."""

from __future__ import annotations

from keras_nas._quiet import quiet_start

with quiet_start():
    import keras  # type: ignore[import-untyped, unused-ignore]

__all__ = ["keras"]
