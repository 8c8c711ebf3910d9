"""Keras Tuner, imported without the chatter of Keras's backend."""

from __future__ import annotations

from keras_nas._quiet import quiet_start

with quiet_start():
    import keras_tuner  # type: ignore[import-untyped, unused-ignore]

__all__ = ["keras_tuner"]
