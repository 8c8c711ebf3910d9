"""Classifiers of sequences and time series: temporal convolutions, then recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_nas.space import (
    Choice,
    Maybe,
    Node,
    Repeat,
    SearchSpace,
    Tied,
    conv1d,
    max_pooling1d,
    residual,
)
from optuna_nas.space.decisions import Params, Value
from optuna_nas.spaces.arguments import check_counts, check_numbers, check_shape, check_sizes
from optuna_nas.spaces.sequence_parts import head, pooling, recurrent


def sequence_cnn_rnn(
    *,
    input_shape: Sequence[int] = (128, 9),
    classes: int = 6,
    max_convolutions: int = 4,
    max_recurrent: int = 2,
    widths: Sequence[int] = (16, 32, 64),
    kernels: Sequence[int] = (3, 5, 7),
    dilations: Sequence[int] = (1, 2, 4, 8),
    heads: Sequence[int] = (2, 4),
    key_dim: int = 16,
    dropout_rates: Sequence[float] = (0.2, 0.5),
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """A stem, residual dilated convolutions, recurrent layers, a pooling and a dense head.

    Convolutions are after Bai et al. 2018: each is added to what it reads, sees the further the
    more it is dilated, and may be followed by a pooling that halves the steps. In the whole network
    they see both ways ("same") or the past alone ("causal").

    Args:
        input_shape: Steps and channels of an example.
        classes: Number of classes.
        max_convolutions: Most convolutions behind the stem.
        max_recurrent: Most recurrent layers behind them.
        widths: Filters of a convolution, units of a recurrent or dense layer.
        kernels: Kernel sizes of a convolution.
        dilations: Dilations of a convolution.
        heads: Heads that multi-head attention may have, where it is the pooling.
        key_dim: Channels of a head.
        dropout_rates: Rates to choose from where there is dropout.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.
    """
    check_shape(input_shape, "steps", "channels")
    check_counts(0, max_convolutions=max_convolutions, max_recurrent=max_recurrent)
    check_counts(1, key_dim=key_dim)
    check_sizes(widths=widths, kernels=kernels, dilations=dilations, heads=heads)
    check_numbers(0, 1, dropout_rates=dropout_rates)
    padding = Tied(Choice("padding", ["same", "causal"]))
    convolution = conv1d(
        Choice("width", widths),
        Choice("kernel", kernels),
        dilation_rate=Choice("dilation", dilations),
        padding=padding,
    )
    further = [residual(convolution), Maybe("pool", max_pooling1d(2))]
    states = recurrent(widths, return_sequences=True)
    body: list[Node] = [
        conv1d(Choice("width", widths), Choice("kernel", kernels), padding=padding),
        *([Repeat("convolution", 0, max_convolutions, further)] if max_convolutions else []),
        *([Repeat("recurrent", 0, max_recurrent, states)] if max_recurrent else []),
        pooling(widths, heads, key_dim),
        *head(widths, dropout_rates),
    ]
    sizes = (max_convolutions, max_recurrent)
    return SearchSpace(
        "sequence_cnn_rnn",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references=_references(widths, kernels, dilations, *sizes),
    )


def _references(
    widths: Sequence[int],
    kernels: Sequence[int],
    dilations: Sequence[int],
    max_convolutions: int,
    max_recurrent: int,
) -> dict[str, Params]:
    """A temporal convolutional network (Bai et al. 2018), a bidirectional LSTM behind a stem, and
    convolutions before LSTMs (Ordóñez & Roggen 2016), in the largest sizes of the space."""
    plain: Params = {
        "padding": "same",
        "width": widths[-1],
        "kernel": kernels[0],
        "convolution/depth": 0,
        "recurrent/depth": 0,
        "pooling": "average",
        "dropout": False,
        "dense/depth": 0,
    }

    def convolutions(rates: Sequence[int]) -> Params:
        params: dict[str, Value] = {"convolution/depth": len(rates)}
        for i, rate in enumerate(rates):
            own: Params = {
                "width": widths[-1],
                "kernel": kernels[0],
                "dilation": rate,
                "pool": False,
            }
            params |= {f"convolution/{i}/{key}": value for key, value in own.items()}
        return params

    def states(count: int, both: bool) -> Params:
        params: dict[str, Value] = {"recurrent/depth": count}
        for i in range(count):
            cell = f"recurrent/{i}/cell"
            params |= {
                cell: "lstm",
                f"{cell}=lstm/units": widths[-1],
                f"{cell}=lstm/bidirectional": both,
            }
        return params

    found: dict[str, Params] = {}
    if max_convolutions:
        rates = sorted(dilations)[:max_convolutions]
        found["TCN"] = {**plain, "padding": "causal", **convolutions(rates)}
    if max_recurrent:
        found["BiLSTM"] = {**plain, **states(1, both=True)}
    if max_convolutions and max_recurrent:
        deep = convolutions([dilations[0]] * min(3, max_convolutions))
        found["DeepConvLSTM"] = {**plain, **deep, **states(min(2, max_recurrent), both=False)}
    return found
