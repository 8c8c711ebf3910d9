"""Multilayer perceptrons for tables, with residual blocks and embeddings of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
from optuna_nas.space.decisions import Value
from optuna_nas.spaces.arguments import (
    check_counts,
    check_names,
    check_numbers,
    check_shape,
    check_sizes,
)
from optuna_nas.spaces.category_embeddings import embedded_columns


def tabular_mlp(
    *,
    input_shape: Sequence[int] = (30,),
    classes: int = 2,
    max_blocks: int = 4,
    widths: Sequence[int] = (16, 32, 64, 128),
    activations: Sequence[str] = ("relu", "silu", "gelu", "tanh"),
    dropout_rates: Sequence[float] = (0.1, 0.3),
    categories: Mapping[int, int] | None = None,
    embedding_sizes: Sequence[int] = (2, 4, 8, 16),
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
        categories: Columns that hold categories, as 0, 1, 2 ...: column -> number of categories.
            Each gets an embedding (Guo & Berkhahn 2016); leave these columns as they are when
            others are standardised.
        embedding_sizes: Sizes of an embedding; at most one less than there are categories.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.
    """
    check_shape(input_shape, "features")
    check_counts(0, max_blocks=max_blocks)
    check_sizes(widths=widths, embedding_sizes=embedding_sizes)
    check_names(activations=activations)
    check_numbers(0, 1, dropout_rates=dropout_rates)
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
    block = [Choice("kind", kinds), regularization]
    columns = embedded_columns(input_shape[0], categories, embedding_sizes) if categories else []
    body = [
        *columns,
        *hidden(Choice("units", widths)),
        *([Repeat("block", 0, max_blocks, block)] if max_blocks else []),
    ]
    return SearchSpace(
        "tabular_mlp",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references=_references(max_blocks, widths, activations, columns),
    )


def _references(
    max_blocks: int, widths: Sequence[int], activations: Sequence[str], columns: Sequence[Node]
) -> dict[str, dict[str, Value]]:
    """A plain network and a residual one of two blocks, of the middle width."""
    depth, units = min(2, max_blocks), sorted(widths)[len(widths) // 2]
    common: dict[str, Value] = {"units": units, "activation": activations[0], "block/depth": depth}
    for node in columns:
        common |= {p.name: list(p.domain.values())[-1] for p in node.points("")}
    plain: dict[str, Value] = {**common, "normalization": "none"}
    normalized: dict[str, Value] = {**common, "normalization": "batch"}
    for i in range(depth):
        plain |= {
            f"block/{i}/kind": "plain",
            f"block/{i}/kind=plain/units": units,
            f"block/{i}/dropout": False,
        }
        normalized |= {f"block/{i}/kind": "residual", f"block/{i}/dropout": False}
    return {"MLP": plain, "ResNet-like": normalized}
