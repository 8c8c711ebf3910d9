"""Multilayer perceptrons for tables, with residual blocks and normalisation to choose from."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_nas.space import (
    Chain,
    Choice,
    Maybe,
    Node,
    Repeat,
    SearchSpace,
    Tied,
    activation,
    batch_normalization,
    dense,
    dropout,
    identity,
    layer_normalization,
    residual,
)


def tabular_mlp(
    *,
    input_shape: Sequence[int] = (30,),
    classes: int = 2,
    max_blocks: int = 4,
    widths: Sequence[int] = (16, 32, 64, 128),
    activations: Sequence[str] = ("relu", "silu", "gelu", "tanh"),
    dropout_rates: Sequence[float] = (0.1, 0.3),
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """A stem of a chosen width, then blocks that are plain (of another width) or residual.

    The kind of normalisation and the activation are one for the whole network
    (after Gorishniy et al. 2021, who compare such networks).

    Args:
        input_shape: Number of features.
        classes: Number of classes.
        max_blocks: Most blocks after the stem.
        widths: Units a layer may have.
        activations: Activations to choose from, by their Keras names.
        dropout_rates: Rates to choose from where a block has dropout.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.
    """
    normalization = Tied(
        Choice(
            "normalization",
            {"none": identity(), "batch": batch_normalization(), "layer": layer_normalization()},
        )
    )
    function = Tied(Choice("activation", activations))

    def hidden(units: Choice | None) -> list[Node]:
        first = dense(units) if units else dense()
        return [first, normalization, activation(function)]

    regularization = Maybe("dropout", dropout(Choice("rate", dropout_rates)))
    kinds = {
        "plain": Chain(tuple(hidden(Choice("units", widths)))),
        "residual": residual(hidden(None)),
    }
    body = [
        *hidden(Choice("units", widths)),
        Repeat("block", 0, max_blocks, [Choice("kind", kinds), regularization]),
    ]
    return SearchSpace(
        "tabular_mlp",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
    )
