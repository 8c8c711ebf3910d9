"""Classifiers of texts: an embedding, then convolutional, recurrent or transformer blocks."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_nas.space import (
    Choice,
    Maybe,
    Node,
    Repeat,
    Scope,
    SearchSpace,
    Subset,
    conv1d,
    dropout,
    embedding,
    position_embedding,
    transformer_block,
)
from optuna_nas.space.decisions import Params
from optuna_nas.space.sequence_layers import mlp_of
from optuna_nas.spaces.arguments import (
    check_among,
    check_counts,
    check_numbers,
    check_shape,
    check_sizes,
)
from optuna_nas.spaces.sequence_parts import head, pooling, recurrent

BLOCKS = ("convolution", "recurrent", "transformer")
KERNELS = (3, 4, 5)


def text_classifier(
    *,
    input_shape: Sequence[int] = (64,),
    classes: int = 2,
    vocabulary: int = 10_000,
    widths: Sequence[int] = (16, 32, 64, 128),
    max_blocks: int = 2,
    blocks: Sequence[str] = BLOCKS,
    units: Sequence[int] = (16, 32, 64),
    heads: Sequence[int] = (2, 4),
    key_dim: int = 16,
    dropout_rates: Sequence[float] = (0.2, 0.5),
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """An embedding, up to ``max_blocks`` blocks, a pooling to a vector and a dense head.

    Each block is one of: convolutions of one to three kernels side by side (Kim 2014); an LSTM or
    GRU, in one direction or both; a transformer block. The vector is the average or the maximum
    over the words, their sum under additive (Bahdanau et al. 2015), multiplicative (Luong et al.
    2015) or multi-head attention, or the last state of a recurrent layer.

    Args:
        input_shape: Number of words of a text, in a tuple. Words are numbers below ``vocabulary``;
            shorter texts are best filled up in front, for the last word is what attention asks for.
        classes: Number of classes.
        vocabulary: Number of different words, with those for padding and for unknown words.
        widths: Channels the embedding may have.
        max_blocks: Most blocks.
        blocks: Kinds of blocks to choose from: "convolution", "recurrent", "transformer".
        units: Filters of a kernel, units of a recurrent or dense layer, and of additive attention.
        heads: Heads that multi-head attention may have.
        key_dim: Channels of a head.
        dropout_rates: Rates to choose from where there is dropout.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.
    """
    check_shape(input_shape, "words")
    check_counts(0, max_blocks=max_blocks)
    check_counts(1, vocabulary=vocabulary, key_dim=key_dim)
    check_among("blocks", blocks, BLOCKS)
    check_sizes(widths=widths, units=units, heads=heads)
    check_numbers(0, 1, dropout_rates=dropout_rates)
    kinds: dict[str, Node | list[Node]] = {
        "convolution": Subset("kernels", _convolutions(units), 1, len(KERNELS), "concatenate"),
        "recurrent": recurrent(units, return_sequences=True),
        "transformer": transformer_block(
            Choice("heads", heads),
            key_dim,
            Choice("mlp_ratio", {"2": mlp_of(2), "4": mlp_of(4)}),
        ),
    }
    kind = Choice("kind", {kind: kinds[kind] for kind in blocks})
    body = [
        embedding(vocabulary, Choice("width", widths)),
        Maybe("positions", position_embedding()),
        Scope("embedding", Maybe("dropout", dropout(Choice("rate", dropout_rates)))),
        *([Repeat("block", 0, max_blocks, kind)] if max_blocks else []),
        pooling(units, heads, key_dim),
        *head(units, dropout_rates),
    ]
    return SearchSpace(
        "text_classifier",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references=_references(widths, units, heads, dropout_rates, blocks if max_blocks else ()),
    )


def _convolutions(units: Sequence[int]) -> dict[str, Node]:
    return {str(kernel): conv1d(Choice("filters", units), kernel) for kernel in KERNELS}


def _references(
    widths: Sequence[int],
    units: Sequence[int],
    heads: Sequence[int],
    dropout_rates: Sequence[float],
    blocks: Sequence[str],
) -> dict[str, Params]:
    """fastText (Joulin et al. 2017), TextCNN (Kim 2014), BiLSTM with attention (Zhou et al. 2016)
    and a small transformer, in the largest sizes of the space."""
    plain: Params = {
        "width": widths[-1],
        "positions": False,
        "embedding/dropout": False,
        "block/depth": 0,
        "pooling": "average",
        "dropout": False,
        "dense/depth": 0,
    }
    dropped: Params = {"dropout": True, "dropout/rate": dropout_rates[-1]}
    found: dict[str, Params] = {"fastText": plain}
    block, one = "block/0/kind", {**plain, "block/depth": 1}
    if "convolution" in blocks:
        prefix = f"{block}=convolution/kernels"
        filters: Params = {f"{prefix}/{kernel}/filters": units[-1] for kernel in KERNELS}
        joined: Params = {prefix: "+".join(map(str, KERNELS)), "pooling": "max"}
        found["TextCNN"] = {**one, **dropped, block: "convolution", **joined, **filters}
    if "recurrent" in blocks:
        cell = f"{block}=recurrent/cell"
        states: Params = {
            cell: "lstm",
            f"{cell}=lstm/units": units[-1],
            f"{cell}=lstm/bidirectional": True,
        }
        asked: Params = {
            "pooling": "additive_attention",
            "pooling=additive_attention/units": units[-1],
        }
        found["BiLSTM with attention"] = {**one, **dropped, block: "recurrent", **states, **asked}
    if "transformer" in blocks:
        prefix = f"{block}=transformer"
        inner: Params = {f"{prefix}/heads": heads[-1], f"{prefix}/mlp_ratio": "4"}
        found["transformer"] = {**one, "positions": True, block: "transformer", **inner}
    return found
