"""How well a supernet ranks architectures: its ranks against those after training each alone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from optuna_nas._optuna import draw_of
from optuna_nas.report.figures import ACCENT, MUTED, SECOND, styled
from optuna_nas.report.reading import StudyReading

FEWEST = 4  # architectures whose ranks are worth a look
BEST = 5


def plot_ranks(
    supernet: Sequence[float],
    alone: Sequence[float],
    *,
    maximize: bool = True,
    names: Sequence[str] | None = None,
) -> go.Figure:
    """The ranks of architectures in a supernet against those after training each alone.

    Args:
        supernet: What the supernet says of each, say `Supernet.evaluate`'s accuracy.
        alone: What training it alone gave.
        maximize: Whether more is better, of both.
        names: For hovering.

    Raises:
        ValueError: There are not as many of both, fewer than 2, or some are not finite.
    """
    if len(supernet) != len(alone) or len(alone) < 2:
        raise ValueError(
            f"supernet and alone: expected as many values of both, at least 2, got "
            f"{len(supernet)} and {len(alone)}."
        )
    if not np.isfinite([*supernet, *alone]).all():
        raise ValueError("supernet and alone: expected finite values; leave the others out.")
    first, second = ranks(supernet, maximize=maximize), ranks(alone, maximize=maximize)
    called = names or [f"architecture {number}" for number in range(len(alone))]
    texts = [
        f"{escape(str(name))}<br>supernet: {a:.4g}, alone: {b:.4g}"
        for name, a, b in zip(called, supernet, alone, strict=True)
    ]
    return _ranks_figure(first, second, texts)


def drawn_ranks_figure(reading: StudyReading) -> go.Figure | None:
    """The probability of a study's drawn trials against their values; None for a few."""
    found = [
        (trial, float(draw["log_probability"]), reading.values(trial)[0])
        for trial in reading.feasible
        if (draw := draw_of(trial)) is not None and draw["log_probability"] is not None
    ]
    found = [(trial, chance, value) for trial, chance, value in found if np.isfinite(value)]
    if len(found) < FEWEST:
        return None
    probable = ranks([chance for _, chance, _ in found])
    valued = ranks([value for _, _, value in found], maximize=reading.maximize[0])
    texts = [f"trial {t.number}: {value:.5g}, log-probability {p:.3g}" for t, p, value in found]
    figure = _ranks_figure(probable, valued, texts)
    figure.update_xaxes(title="rank by the supernet's probability (1 is best)")
    figure.update_yaxes(title="rank by value (1 is best)")
    return figure


def ranks(values: Sequence[float], *, maximize: bool = True) -> NDArray[np.float64]:
    """Ranks (n,) from 1, the best; what is equal shares the mean of its ranks."""
    best: NDArray[np.float64] = rankdata(-np.asarray(values) if maximize else values)
    return best


def _ranks_figure(
    first: NDArray[np.float64], second: NDArray[np.float64], texts: Sequence[str]
) -> go.Figure:
    count = len(texts)
    figure = go.Figure()
    figure.add_scatter(
        x=[1, count], y=[1, count], mode="lines", name="equal ranks", hoverinfo="skip",
        line={"color": MUTED, "dash": "dot", "width": 1},
    )  # fmt: skip
    few = max(1, min(BEST, count // 4))
    best = first <= few
    for name, color, size, kept in (
        ("architectures", ACCENT, 7, ~best),
        (f"the supernet's best {few}" if few > 1 else "the supernet's best", SECOND, 10, best),
    ):
        figure.add_scatter(
            x=first[kept].tolist(),
            y=second[kept].tolist(),
            mode="markers",
            name=name,
            marker={"color": color, "size": size},
            text=[text for text, keep in zip(texts, kept, strict=True) if keep],
            hovertemplate="%{text}<br>ranks %{x} and %{y}<extra></extra>",
        )
    tau = float(kendalltau(first, second).statistic)
    shown = "unknown, for all of one are equal" if np.isnan(tau) else f"{tau:.2f}"
    figure.add_annotation(
        x=1.0, xref="paper", xanchor="right", y=1.02, yref="paper", yanchor="bottom",
        text=f"Kendall's τ: {shown}", showarrow=False,
    )  # fmt: skip
    step = max(1, round(count / 6))
    figure.update_xaxes(title="rank in the supernet (1 is best)", tick0=1, dtick=step)
    figure.update_yaxes(title="rank when trained alone (1 is best)", tick0=1, dtick=step)
    return styled(figure, height=420)
