"""How a Keras layer is made from an operation's attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna_nas.graph import Shape

Builder = Callable[[str, Mapping[str, Any], Sequence[Shape]], Any]
"""``(layer name, attributes, input shapes) -> keras.layers.Layer``."""


def plain(make: Callable[..., Any], **fixed: Any) -> Builder:
    """An operation whose attributes are its Keras layer's arguments, beside ``fixed`` ones."""

    def build(name: str, attributes: Mapping[str, Any], _inputs: Sequence[Shape]) -> Any:
        return make(name=name, **attributes, **fixed)

    return build
