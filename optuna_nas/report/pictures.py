"""Which figures a report has, drawn from a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from optuna_nas.report.figures import (
    ACCENT,
    bars_figure,
    curves_figure,
)
from optuna_nas.report.importance import decision_importances, slice_figure
from optuna_nas.report.leaderboard import LeaderboardRow
from optuna_nas.report.measures import label
from optuna_nas.report.pruning_figures import pruning_figure
from optuna_nas.report.rank_figures import drawn_ranks_figure
from optuna_nas.report.reading import StudyReading
from optuna_nas.report.supernet import SupernetHistory
from optuna_nas.report.supernet_figures import alphas_figure, emergence_figure
from optuna_nas.report.trial_figures import history_figure, pareto_figure

CURVES = 8
SLICES = 4


def pictures_of(
    reading: StudyReading,
    rows: Sequence[LeaderboardRow],
    winner: LeaderboardRow | None,
    latency: Mapping[str, Any],
    supernet: SupernetHistory | None,
) -> tuple[dict[str, go.Figure | None], int]:
    """Figures by name, None where there is nothing to draw, and the number of decisions sliced."""
    importances = decision_importances(reading)
    main = importances.get(reading.objectives[0], {})
    decisions = [name for name, share in main.items() if share > 0][:SLICES]
    learned = supernet if supernet is not None and supernet.values else None
    return {
        "pareto": pareto_figure(reading, None if winner is None else winner.trial),
        "history": history_figure(reading),
        "pruning": pruning_figure(reading),
        "emergence": None if learned is None else emergence_figure(learned),
        "alphas": None if learned is None else alphas_figure(learned),
        "ranks": None if supernet is None else drawn_ranks_figure(reading),
        "curves": curves_figure(_curves(reading, rows, winner)),
        "operations": bars_figure({"ms": by_kind(latency)}, axis="milliseconds", unit=" ms"),
        "importances": bars_figure(importances, axis="share of the importance"),
        "slices": _slices(reading, decisions) if decisions else None,
    }, len(decisions)


def by_kind(latency: Mapping[str, Any]) -> dict[str, float]:
    """Milliseconds of each kind of operator of a stored latency profile."""
    sums: dict[str, float] = {}
    for node in latency.get("operations") or ():
        sums[str(node["kind"])] = sums.get(str(node["kind"]), 0.0) + float(node["ms"])
    return sums


def _curves(
    reading: StudyReading, rows: Sequence[LeaderboardRow], winner: LeaderboardRow | None
) -> dict[int, Mapping[str, Sequence[float]]]:
    best = [row for row in rows if row.state == "COMPLETE" and row != winner]
    chosen = ([winner] if winner is not None else []) + best
    curves = {row.trial: reading.records[row.trial].curve for row in chosen}
    return dict([(trial, curve) for trial, curve in curves.items() if curve][:CURVES])


def _slices(reading: StudyReading, decisions: list[str]) -> go.Figure:
    figure = slice_figure(reading, decisions)
    figure.update_traces(
        marker={
            "color": ACCENT,
            "opacity": 0.55,
            "size": 6,
            "line": {"width": 0},
            "showscale": False,
        }
    )
    figure.update_yaxes(title=escape(label(reading.objectives[0])), selector=0)
    figure.update_yaxes(zeroline=False)
    figure.update_xaxes(zeroline=False)
    figure.update_layout(
        template=go.layout.Template(),
        title=None,
        height=340,
        width=None,
        showlegend=False,
        margin={"l": 64, "r": 16, "t": 16, "b": 60},
    )
    return figure
