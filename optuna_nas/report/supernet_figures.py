"""Pictures of a supernet: its alphas over the epochs, and the cell as it emerges."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import optuna
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from optuna_nas.report.figures import BAD, MUTED, PALETTE, styled
from optuna_nas.report.reading import read_study
from optuna_nas.report.supernet import Epochs, SupernetHistory, read_supernet

if TYPE_CHECKING:
    from optuna_nas.space import SearchSpace

ROWS = 150  # values in one heat map
LETTERS = 36  # of a decision's name beside it
DECISIONS = 40  # in one picture of the cell
COLORS = (
    *PALETTE,
    *("#1d4ed8", "#b45309", "#047857", "#6d28d9", "#9d174d", "#0e7490", "#4d7c0f", "#c2410c"),
)
FIGURES = {
    "entropy": "entropy",
    "share_of_skips": "share of skips",
    "share_of_none": "share of none",
}


def plot_alphas(
    source: optuna.Study | Epochs,
    *,
    space: SearchSpace | None = None,
    decisions: Sequence[str] | None = None,
) -> go.Figure:
    """A heat map of the probability of each value of each decision over the epochs.

    Args:
        source: A study searched with a `DARTSSampler`, or logits by epoch and decision.
        space: The space; where left out, the one the study remembers.
        decisions: Which decisions; where left out, as many as 150 rows hold.

    Raises:
        ValueError: Nothing is known of a supernet, or of one of the decisions.
    """
    return alphas_figure(_history(source, space), decisions)


def plot_emergence(
    source: optuna.Study | Epochs,
    *,
    space: SearchSpace | None = None,
    decisions: Sequence[str] | None = None,
) -> go.Figure:
    """The most probable value of each decision over the epochs, below entropy and collapse.

    Args:
        source: As in `plot_alphas`.
        space: As there.
        decisions: Which; where left out, the first 40.

    Raises:
        ValueError: As there.
    """
    return emergence_figure(_history(source, space), decisions)


# --- figures of a history -------------------------------------------------------------------------


def alphas_figure(history: SupernetHistory, decisions: Sequence[str] | None = None) -> go.Figure:
    """As `plot_alphas`."""
    shown = _chosen(history, decisions)
    if not decisions:
        shown = _fitting(history, shown)
    rows: list[tuple[str, str, list[float | None]]] = []  # decision, value, probabilities
    for name in shown:
        if rows:
            rows.append(("", "", [None] * len(history.epochs)))
        shares = history.probabilities[name].T.tolist()
        rows += [(name, v, row) for v, row in zip(history.values[name], shares, strict=True)]
    known = np.concatenate([history.probabilities[name] for name in shown], axis=1)
    ends = [float(known.min()), float(known.max())]
    figure = go.Figure()
    figure.add_heatmap(
        z=[shares for _, _, shares in rows],
        x=list(history.epochs),
        y=list(range(len(rows))),
        text=[
            [f"{escape(name)}: {escape(value)}"] * len(history.epochs) for name, value, _ in rows
        ],
        # From see-through to opaque, which is right on light and on dark pages.
        colorscale=[[0.0, "rgba(59,130,246,0.06)"], [1.0, "rgba(59,130,246,1)"]],
        xgap=1 if len(history.epochs) <= 60 else 0,
        ygap=1,
        colorbar={
            "title": {"text": "probability", "side": "top"},
            "tickvals": ends,
            "ticktext": [f"{end:.2f}" for end in ends],
            "orientation": "h",
            "thickness": 10,
            "len": 240,
            "lenmode": "pixels",
            "x": 0.0,
            "xanchor": "left",
            "y": 1.0,
            "yanchor": "bottom",
        },
        hovertemplate="%{text}<br>epoch %{x}: %{z:.3f}<extra></extra>",
        hoverongaps=False,
    )
    filled = [k for k, (name, _, _) in enumerate(rows) if name]
    figure.update_yaxes(
        autorange="reversed",
        tickvals=filled,
        ticktext=[escape(rows[k][1]) for k in filled],
        tickfont={"size": 11},
    )
    for name in shown:
        own = [k for k in filled if rows[k][0] == name]
        figure.add_annotation(
            x=1.0, xref="paper", xanchor="left", xshift=8, y=(own[0] + own[-1]) / 2,
            text=f"<b>{escape(_short(name))}</b>", showarrow=False, font={"size": 11},
        )  # fmt: skip
    longest = max(len(_short(name)) for name in shown)
    _epochs(figure, history)
    styled(figure, height=130 + 15 * len(rows), legend=False)
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(showgrid=False)
    figure.update_layout(margin={"l": 64, "r": 24 + 8 * longest, "t": 76, "b": 52})
    return figure


def emergence_figure(history: SupernetHistory, decisions: Sequence[str] | None = None) -> go.Figure:
    """As `plot_emergence`."""
    shown = _chosen(history, decisions)[: None if decisions else DECISIONS]
    figures = {name: history.figure(key) for key, name in FIGURES.items()}
    figures = {name: known for name, known in figures.items() if np.isfinite(known).any()}
    panel, rows = (150 if figures else 0), 26 * max(len(shown), 2)
    figure = make_subplots(
        rows=2 if figures else 1,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=34 / (panel + rows) if figures else 0.0,
        row_heights=[panel, rows] if figures else [rows],
    )
    for color, (name, known) in zip((MUTED, *PALETTE[1:]), figures.items(), strict=False):
        figure.add_scatter(
            x=list(history.epochs), y=known.tolist(), mode="lines+markers", name=name, row=1, col=1,
            line={"color": color, "width": 2}, marker={"size": 4}, legend="legend",
            hovertemplate=f"epoch %{{x}}, {name}: %{{y:.2f}}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(range=[-0.05, 1.05], tickvals=[0, 0.5, 1], row=1, col=1)
    _add_runs(figure, history, shown, row=2 if figures else 1)
    for epoch, reason in history.alarms.items():
        figure.add_vrect(
            x0=epoch - 0.5, x1=epoch + 0.5, fillcolor=BAD, opacity=0.14, line_width=0, layer="below"
        )
        if figures:
            figure.add_scatter(
                x=[epoch], y=[1.0], mode="markers", name="collapsed", legendgroup="collapsed",
                showlegend=epoch == min(history.alarms), text=[escape(reason)], row=1, col=1,
                marker={"color": BAD, "symbol": "x", "size": 8},
                hovertemplate="epoch %{x}: %{text}<extra></extra>",
            )  # fmt: skip
    styled(figure, height=panel + rows + 150)
    # Two legends: figures over their panel, values below all.
    below = {"orientation": "h", "x": 0, "yref": "container", "y": 0.0, "yanchor": "bottom"}
    figure.update_layout(
        legend2=below,
        barmode="overlay",
        bargap=0.25,
        uniformtext={"mode": "hide", "minsize": 9},
        margin={"l": 64, "r": 16, "t": 40, "b": 96},
    )
    _epochs(figure, history)
    if figures:
        figure.update_xaxes(title="", row=1, col=1)
    return figure


# --- parts ----------------------------------------------------------------------------------------


def _add_runs(
    figure: go.Figure, history: SupernetHistory, shown: Sequence[str], *, row: int
) -> None:
    """A bar for each stretch of epochs with one most probable value."""
    bars: dict[str, list[tuple[str, int, int, float]]] = {}
    for name in shown:
        for first, last, position in history.runs(name):
            share = float(history.probabilities[name][history.epochs.index(last), position])
            bars.setdefault(history.values[name][position], []).append((name, first, last, share))
    order = sorted(bars)
    for value in order:
        runs = bars[value]
        figure.add_bar(
            x=[last - first + 1 for _, first, last, _ in runs],
            base=[first - 0.5 for _, first, _, _ in runs],
            y=[escape(name) for name, _, _, _ in runs],
            orientation="h",
            name=escape(value),
            legend="legend2",
            marker={"color": COLORS[order.index(value) % len(COLORS)], "line": {"width": 0}},
            text=[escape(value)] * len(runs),
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            customdata=[[first, last, share] for _, first, last, share in runs],
            hovertemplate="%{y}: %{text}<br>epochs %{customdata[0]} to %{customdata[1]}, "
            "probability %{customdata[2]:.3f} in the end<extra></extra>",
            row=row,
            col=1,
        )
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=[escape(name) for name in reversed(shown)],
        showgrid=False,
        row=row,
        col=1,
    )


def _epochs(figure: go.Figure, history: SupernetHistory) -> None:
    first, last = history.epochs[0], history.epochs[-1]
    step = next((k for k in (1, 2, 5, 10, 20, 50) if last - first <= 12 * k), 100)
    figure.update_xaxes(title="epoch", tick0=0, dtick=step, range=[first - 0.5, last + 0.5])


def _chosen(history: SupernetHistory, decisions: Sequence[str] | None) -> list[str]:
    unknown = [name for name in decisions or () if name not in history.values]
    if unknown:
        raise ValueError(
            f"decisions: expected some of {', '.join(history.values) or 'none'}, got {unknown[0]!r}"
        )
    return list(decisions or history.values)


def _fitting(history: SupernetHistory, names: Sequence[str]) -> list[str]:
    """As many as a picture holds, and at least one."""
    ends = accumulate(len(history.values[name]) + 1 for name in names)
    return [name for name, end in zip(names, ends, strict=True) if end <= ROWS] or [names[0]]


def _short(name: str) -> str:
    """The end of a long name tells it from others."""
    return name if len(name) <= LETTERS else f"…{name[1 - LETTERS :]}"


def _history(source: optuna.Study | Epochs, space: SearchSpace | None) -> SupernetHistory:
    if isinstance(source, optuna.Study):
        history = read_supernet(read_study(source), space)
        if history is None:
            raise ValueError(
                f"source: expected a study that a DARTSSampler has drawn from, and space= where "
                f"the study doesn't remember it, got {source.study_name!r}."
            )
    elif space is None:
        raise ValueError("space: expected the space of the logits, got None.")
    else:
        history = SupernetHistory.of(space, source)
    if not history.values:
        raise ValueError("source: expected logits that differ in an epoch at least, got none.")
    return history
