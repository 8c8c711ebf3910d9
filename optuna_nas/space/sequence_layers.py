"""Layers and small blocks on sequences, of shape (steps, channels), to declare spaces with.

Names and arguments follow Keras; as in `optuna_nas.space.layers`, an argument may be a plain value
or a decision, and ``filters`` may be left out to keep as many channels as come in.
"""

from __future__ import annotations

from typing import Any

from optuna_nas.errors import SpaceError
from optuna_nas.space.layers import (
    SAME_CHANNELS,
    activation,
    block,
    dense,
    dropout,
    known,
    layer_normalization,
    pooling,
    residual,
)
from optuna_nas.space.nodes import Chain, Channels, Node


def embedding(vocabulary: Any, width: Any) -> Node:
    """A learned vector for each token; tokens are whole numbers from 0 to ``vocabulary`` - 1."""
    return known("embedding", input_dim=vocabulary, output_dim=width)


def conv1d(
    filters: Any = SAME_CHANNELS,
    kernel: Any = 3,
    strides: Any = 1,
    *,
    activation: Any = "relu",
    normalization: bool = True,
    padding: Any = "same",
    dilation_rate: Any = 1,
) -> Node:
    """Convolution along the steps, batch normalisation, activation.

    With the padding "causal" no step sees a later one.
    """
    convolution = known(
        "conv1d",
        filters=filters,
        kernel_size=kernel,
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
        use_bias=not normalization,
    )
    return block(convolution, normalization, activation)


def max_pooling1d(pool_size: Any = 2, strides: Any = None, *, padding: str = "same") -> Node:
    """Maximum over windows of steps; strides default to the window's size."""
    return pooling("max_pooling1d", pool_size, strides, padding)


def average_pooling1d(pool_size: Any = 2, strides: Any = None, *, padding: str = "same") -> Node:
    """Average over windows of steps, padding not counted; strides default to the window's size."""
    return pooling("average_pooling1d", pool_size, strides, padding)


def global_average_pooling1d() -> Node:
    """Average over all steps: a sequence becomes a vector."""
    return known("global_average_pooling1d")


def global_max_pooling1d() -> Node:
    """Maximum over all steps: a sequence becomes a vector."""
    return known("global_max_pooling1d")


def cropping1d(cropping: tuple[int, int] = (1, 1)) -> Node:
    """A sequence without so many of its first steps, and of its last."""
    return known("cropping1d", cropping=cropping)


def lstm(units: Any, *, return_sequences: Any = False, bidirectional: Any = False) -> Node:
    """Long short-term memory (Hochreiter & Schmidhuber 1997), its last state or all of them."""
    return known(
        "lstm", units=units, return_sequences=return_sequences, bidirectional=bidirectional
    )


def gru(units: Any, *, return_sequences: Any = False, bidirectional: Any = False) -> Node:
    """Gated recurrent unit (Cho et al. 2014), its last state or all of them."""
    return known("gru", units=units, return_sequences=return_sequences, bidirectional=bidirectional)


def multi_head_attention(num_heads: Any, key_dim: Any) -> Node:
    """Self-attention of several heads of ``key_dim`` channels each (Vaswani et al. 2017)."""
    return known("multi_head_attention", num_heads=num_heads, key_dim=key_dim)


def additive_attention_pooling(units: Any) -> Node:
    """Sum over the steps h, weighted by the softmax of v . tanh(W q + U h + b); q is the last step.

    The score is Bahdanau's (2015, appendix A.1.2), ``units`` the length of v.
    """
    return known("additive_attention_pooling", units=units)


def multiplicative_attention_pooling() -> Node:
    """Sum over the steps h, weighted by the softmax of q W h; q is the last step.

    The score is Luong's "general" one (2015, eq. 8).
    """
    return known("multiplicative_attention_pooling")


def position_embedding() -> Node:
    """Adds a learned vector to each step, by its position."""
    return known("position_embedding")


def class_token() -> Node:
    """A learned step before the first, from which the class may be read at the end."""
    return known("class_token")


def transformer_block(
    num_heads: Any,
    key_dim: Any,
    mlp: Node | float = 4,
    *,
    function: Any = "gelu",
    dropout_rate: Any = None,
) -> Node:
    """Self-attention, then two dense layers, each added to what it normalised and read.

    Normalisation comes first, as in Xiong et al. 2020 (fig. 1b).

    Args:
        num_heads: Heads of the attention.
        key_dim: Channels of each.
        mlp: How many times more units the first dense layer has than there are channels; or what
            stands in the place of both layers, such as a decision between several `mlp_of`.
        function: Activation between the dense layers.
        dropout_rate: Of the dropout behind each of both parts; None: there is none.
    """
    inner = mlp if isinstance(mlp, Node) else mlp_of(mlp, function=function)
    behind = [] if dropout_rate is None else [dropout(dropout_rate)]
    attention = [layer_normalization(), multi_head_attention(num_heads, key_dim), *behind]
    dense_layers = [layer_normalization(), inner, *behind]
    return Chain((residual(attention, project=False), residual(dense_layers, project=False)))


def mlp_of(ratio: float, *, function: Any = "gelu") -> Node:
    """Two dense layers, the inner one ``ratio`` times as wide as what comes in and goes out.

    Raises:
        SpaceError: The ratio is below 1: of a rounded width, what came in can't be told.
    """
    if not ratio >= 1:
        raise SpaceError(f"mlp_of: ratio must be at least 1, got {ratio!r}.", ratio)
    return Chain((dense(Channels(ratio)), activation(function), dense(Channels(1 / ratio))))
