"""Parts that spaces of sequences share: recurrent layers, pooling, and the dense head."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_nas.space import (
    Choice,
    Maybe,
    Node,
    Repeat,
    additive_attention_pooling,
    dense,
    dropout,
    global_average_pooling1d,
    global_max_pooling1d,
    gru,
    lstm,
    multi_head_attention,
    multiplicative_attention_pooling,
)


def recurrent(units: Sequence[int], *, return_sequences: bool) -> Choice:
    """An LSTM or a GRU, in one direction or both."""
    both = Choice("bidirectional", [False, True])
    return Choice(
        "cell",
        {
            kind.__name__: kind(
                Choice("units", units), return_sequences=return_sequences, bidirectional=both
            )
            for kind in (lstm, gru)
        },
    )


def pooling(units: Sequence[int], heads: Sequence[int], key_dim: int) -> Choice:
    """How a sequence becomes a vector: by a rule, by attention, or by a recurrent layer."""
    return Choice(
        "pooling",
        {
            "average": global_average_pooling1d(),
            "max": global_max_pooling1d(),
            "additive_attention": additive_attention_pooling(Choice("units", units)),
            "multiplicative_attention": multiplicative_attention_pooling(),
            "multi_head_attention": [
                multi_head_attention(Choice("heads", heads), key_dim),
                global_average_pooling1d(),
            ],
            "recurrent": recurrent(units, return_sequences=False),
        },
    )


def head(units: Sequence[int], dropout_rates: Sequence[float]) -> list[Node]:
    """Dropout or none, and at most one hidden layer before the logits."""
    hidden = dense(Choice("units", units), activation="relu")
    return [Maybe("dropout", dropout(Choice("rate", dropout_rates))), Repeat("dense", 0, 1, hidden)]
