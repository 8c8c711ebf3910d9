"""Figures with a mark for each trial: the Pareto front and the history of the search.

They are drawn here rather than by Optuna's plots, which put whole trials, curves and profiles
included, into every hover text, and know neither the delivered model nor a limit on their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import accumulate
from math import isfinite
from typing import Any

import plotly.graph_objects as go
from optuna.trial import FrozenTrial
from plotly.subplots import make_subplots

from optuna_nas.report.figures import ACCENT, BAD, MUTED, SECOND, styled
from optuna_nas.report.measures import label, measured, noun
from optuna_nas.report.reading import StudyReading

POINTS = 2000  # marks drawn at most for trials that are not on the front


def thinned(trials: Sequence[FrozenTrial], most: int = POINTS) -> Sequence[FrozenTrial]:
    """At most ``most`` trials, evenly over the study."""
    return trials[:: -(-len(trials) // most) or 1]


def pareto_figure(reading: StudyReading, winner: int | None = None) -> go.Figure | None:
    """The first objective over each other one; None for one objective or no finite trial."""
    others = len(reading.objectives) - 1
    finite = [t for t in reading.complete if all(map(isfinite, reading.values(t)))]
    if others < 1 or not finite:
        return None
    feasible = {trial.number for trial in reading.feasible}
    front = [t for t in finite if t.number in reading.front]
    groups = (
        (
            "breaks a limit",
            [t for t in finite if t.number not in feasible],
            _mark(BAD, "x-thin", 6),
        ),
        (
            "dominated",
            [t for t in finite if t.number in feasible - reading.front],
            _mark(MUTED, "circle", 6),
        ),
        ("Pareto front", front, _mark(ACCENT, "circle", 9)),
        ("best model", [t for t in finite if t.number == winner], _mark(SECOND, "star", 17)),
    )
    figure = make_subplots(rows=1, cols=others, shared_yaxes=True, horizontal_spacing=0.04)
    for column in range(1, others + 1):
        if others == 1:
            ordered = sorted(front, key=lambda t: (reading.values(t)[1], reading.values(t)[0]))
            figure.add_scatter(
                x=[reading.values(t)[1] for t in ordered],
                y=[reading.values(t)[0] for t in ordered],
                mode="lines",
                line={
                    "color": ACCENT,
                    "width": 1.5,
                    "shape": "vh" if reading.maximize[1] else "hv",
                },
                hoverinfo="skip",
                showlegend=False,
            )
        for name, trials, mark in groups:
            shown = thinned(trials) if name in ("dominated", "breaks a limit") else trials
            if shown:
                figure.add_scatter(
                    x=[reading.values(t)[column] for t in shown],
                    y=[reading.values(t)[0] for t in shown],
                    mode="markers",
                    name=name,
                    legendgroup=name,
                    showlegend=column == 1,
                    marker=mark,
                    text=[_hover(reading, t) for t in shown],
                    customdata=[t.number for t in shown],
                    hovertemplate="%{text}<extra></extra>",
                    row=1,
                    col=column,
                )
        figure.update_xaxes(
            title=_axis(reading, column),
            type=_scale([reading.values(t)[column] for t in finite]),
            row=1,
            col=column,
        )
    figure.update_yaxes(title=_axis(reading, 0), row=1, col=1)
    return styled(figure, height=440)


def history_figure(reading: StudyReading) -> go.Figure | None:
    """Each objective over the trials with the best feasible value so far; None without trials."""
    if not reading.complete:
        return None
    number_of = len(reading.objectives)
    figure = make_subplots(rows=number_of, cols=1, shared_xaxes=True, vertical_spacing=0.07)
    broken = {t.number for t in reading.complete} - {t.number for t in reading.feasible}
    for index in range(number_of):
        finite = [t for t in reading.complete if isfinite(reading.values(t)[index])]
        for name, trials, mark in (
            ("breaks a limit", [t for t in finite if t.number in broken], _mark(BAD, "x-thin", 5)),
            ("trial", [t for t in finite if t.number not in broken], _mark(MUTED, "circle", 5)),
        ):
            shown = thinned(trials)
            if shown:
                figure.add_scatter(
                    x=[t.number for t in shown],
                    y=[reading.values(t)[index] for t in shown],
                    mode="markers",
                    name=name,
                    legendgroup=name,
                    showlegend=index == 0,
                    marker=mark,
                    customdata=[t.number for t in shown],
                    hovertemplate="trial %{x}: %{y:.5g}<extra></extra>",
                    row=index + 1,
                    col=1,
                )
        steps = _improvements(reading, finite, broken, index, maximize=reading.maximize[index])
        figure.add_scatter(
            x=[x for x, _ in steps],
            y=[y for _, y in steps],
            mode="lines",
            name="best so far",
            legendgroup="best so far",
            showlegend=index == 0,
            line={"color": ACCENT, "width": 2, "shape": "hv"},
            hovertemplate="best after trial %{x}: %{y:.5g}<extra></extra>",
            row=index + 1,
            col=1,
        )
        figure.update_yaxes(
            title=escape(label(reading.objectives[index])),
            type=_scale([reading.values(t)[index] for t in finite]),
            row=index + 1,
            col=1,
        )
    figure.update_xaxes(title="trial", row=number_of, col=1)
    return styled(figure, height=90 + 210 * number_of)


def _mark(color: str, symbol: str, size: int) -> dict[str, Any]:
    width = 1.5 if symbol == "x-thin" else 1 if symbol == "star" else 0
    line = {"width": width, "color": color if symbol == "x-thin" else "#ffffff"}
    return {"color": color, "symbol": symbol, "size": size, "line": line}


def _hover(reading: StudyReading, trial: FrozenTrial) -> str:
    record = reading.record(trial)
    known = dict(zip(reading.objectives, reading.values(trial), strict=True))
    for name in ("params", "macs"):
        value = getattr(record, name)
        if value is not None:
            known.setdefault(name, value)
    lines = [f"{escape(noun(name))}: {measured(name, value)}" for name, value in known.items()]
    return "<br>".join([f"<b>trial {trial.number}</b>", *lines])


def _axis(reading: StudyReading, index: int) -> str:
    better = "more" if reading.maximize[index] else "less"
    return f"{escape(label(reading.objectives[index]))}, {better} is better"


def _scale(values: Iterable[float]) -> str:
    known = [value for value in values if isfinite(value)]
    return "log" if known and min(known) > 0 and max(known) > 50 * min(known) else "linear"


def _improvements(
    reading: StudyReading,
    trials: Sequence[FrozenTrial],
    broken: set[int],
    index: int,
    *,
    maximize: bool,
) -> list[tuple[int, float]]:
    """Trial numbers and values where the best feasible value changed, and the last trial."""
    valid = [trial for trial in trials if trial.number not in broken]
    best = list(accumulate((reading.values(t)[index] for t in valid), max if maximize else min))
    steps = [
        (trial.number, value)
        for trial, value, before in zip(valid, best, [None, *best], strict=False)
        if value != before
    ]
    return [*steps, (trials[-1].number, best[-1])] if best else []
