"""Learning curves and bars, and the style that all of the report's figures share.

The page gives figures the reader's light or dark theme, so only data and marks are coloured here,
in tones that stand on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from optuna_nas.report.measures import label

BARS = 15
ACCENT, SECOND, MUTED, BAD = "#3b82f6", "#f59e0b", "#94a3b8", "#ef4444"
PALETTE = (ACCENT, SECOND, "#10b981", "#8b5cf6", "#ec4899", "#06b6d4", "#84cc16", "#f97316")


def curves_figure(curves: Mapping[int, Mapping[str, Sequence[float]]]) -> go.Figure | None:
    """Learning curves by trial: validation solid, training dotted; None where there are none.

    Args:
        curves: Trial number -> curve name -> one value an epoch.
    """
    names = {name for curve in curves.values() for name, values in curve.items() if values}
    measure = next((m for m in ("accuracy", "loss") if {m, f"val_{m}"} & names), None)
    shown = (f"val_{measure}", measure) if measure else tuple(sorted(names)[:1])
    figure = go.Figure()
    for position, (trial, curve) in enumerate(curves.items()):
        for name in shown:
            values = curve.get(str(name)) or ()
            if values:
                validation = str(name).startswith("val_")
                figure.add_scatter(
                    x=list(range(1, len(values) + 1)),
                    y=list(values),
                    mode="lines+markers" if validation else "lines",
                    name=f"trial {trial}",
                    legendgroup=str(trial),
                    showlegend=validation or shown[0] not in curve,
                    line={
                        "color": PALETTE[position % len(PALETTE)],
                        "width": 2 if validation else 1.2,
                        "dash": "solid" if validation else "dot",
                    },
                    marker={"size": 5},
                    hovertemplate=f"trial {trial}, epoch %{{x}}: {escape(label(str(name)))} "
                    "%{y:.4g}<extra></extra>",
                )
    if not figure.data:
        return None
    longest = max(len(trace.x) for trace in figure.data)
    # Left to itself, Plotly marks halves of few epochs, and rounds their labels.
    figure.update_xaxes(title="epoch", tick0=1, dtick=max(1, longest // 10))
    figure.update_yaxes(title=escape(measure or label(str(shown[0]))))
    return styled(figure, height=380)


def bars_figure(
    series: Mapping[str, Mapping[str, float]], *, axis: str, unit: str = "", most: int = BARS
) -> go.Figure | None:
    """Horizontal bars, the longest on top; None where there is nothing to show.

    Args:
        series: Name of the series -> name of the bar -> length.
        axis: Title of the axis of lengths.
        unit: Appended to the lengths in hover texts.
        most: Bars at most.
    """
    sums: dict[str, float] = {}
    for bars in series.values():
        for name, length in bars.items():
            sums[name] = sums.get(name, 0.0) + length
    names = sorted(sums, key=lambda name: sums[name])[-most:]
    if not names:
        return None
    figure = go.Figure()
    for position, (title, bars) in enumerate(series.items()):
        figure.add_bar(
            x=[bars.get(name, 0.0) for name in names],
            y=[escape(name) for name in names],
            orientation="h",
            name=escape(label(title)),
            marker={"color": PALETTE[position % len(PALETTE)]},
            hovertemplate=f"%{{y}}: %{{x:.3g}}{unit}<extra></extra>",
        )
    figure.update_xaxes(title=axis)
    figure.update_yaxes(automargin=True, type="category")
    height = 110 + len(names) * (16 + 10 * len(series))
    return styled(figure, height=height, legend=len(series) > 1)


def styled(figure: go.Figure, *, height: int, legend: bool = True) -> go.Figure:
    """Give a figure the report's layout; the page adds the theme's colours."""
    figure.update_layout(
        template=go.layout.Template(),
        height=height,
        showlegend=legend,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 64, "r": 16, "t": 40, "b": 52},
        hovermode="closest",
    )
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure
