"""Pictures of pruning: a study's curves, one extrapolated trial, and how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import optuna
import plotly.graph_objects as go
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import curve_of
from optuna_nas.curves import CurveModel, Extrapolator
from optuna_nas.curves.extrapolation import DEFAULT
from optuna_nas.report.figures import ACCENT, BAD, MUTED, SECOND, styled
from optuna_nas.report.measures import label
from optuna_nas.report.reading import StudyReading, read_study

Array = NDArray[np.float64]

CURVES = 60  # drawn of each kind
PEERS = 40
AHEAD = 12  # steps of the bands
BANDS = ((0.05, 0.95), (0.25, 0.75))
CUTOFFS = (0.1, 0.2, 0.4, 0.6)
FEWEST = 5  # curves to condition on before a forecast is judged


@dataclass(frozen=True, eq=False)
class Reports:
    """Steps ``(n,)`` and values ``(n,)`` that a trial reported of one objective."""

    trial: FrozenTrial
    steps: Array
    values: Array

    def until(self, step: float) -> Reports:
        """Those up to a step."""
        kept = self.steps <= step
        return Reports(self.trial, self.steps[kept], self.values[kept])


def reports_of(reading: StudyReading, objective: int = 0) -> list[Reports]:
    """What the finished trials of a study reported, in order of their numbers."""
    found = []
    for trial in reading.trials:
        record = curve_of(trial)
        steps: Sequence[float] = sorted(trial.intermediate_values)
        values: object = [trial.intermediate_values[int(step)] for step in steps]
        if record is not None and record.steps:
            steps, values = record.steps, record.values[objective]
        if trial.state.is_finished() and steps and not isinstance(values, float):
            arrays = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
            found.append(Reports(trial, *arrays))
    return found


def pruning_figure(reading: StudyReading) -> go.Figure | None:
    """All curves with where they were pruned and what was predicted; None without pruning."""
    reports = reports_of(reading)
    pruned = [r for r in reports if r.trial.state == TrialState.PRUNED][-CURVES:]
    complete = [r for r in reports if r.trial.state == TrialState.COMPLETE][-CURVES:]
    if not pruned:
        return None
    figure = go.Figure()
    for name, shown, color, width in (
        ("pruned", pruned, SECOND, 1.0),
        ("completed", complete, ACCENT, 1.2),
    ):
        for position, one in enumerate(shown):
            figure.add_scatter(
                x=one.steps,
                y=one.values,
                mode="lines",
                name=name,
                legendgroup=name,
                showlegend=position == 0,
                line={"color": color, "width": width},
                opacity=0.6,
                hovertemplate=f"trial {one.trial.number}, step %{{x}}: %{{y:.4g}}<extra></extra>",
            )
    figure.add_scatter(
        x=[one.steps[-1] for one in pruned],
        y=[one.values[-1] for one in pruned],
        mode="markers",
        name="pruned here",
        marker={"color": BAD, "symbol": "x", "size": 6},
        text=[_reason(one.trial) for one in pruned],
        hovertemplate="%{text}<extra></extra>",
    )
    known = [(one, curve_of(one.trial)) for one in pruned]
    predicted = [(r.max_step, r.predicted[0], one) for one, r in known if r and r.predicted]
    if predicted:
        figure.add_scatter(
            x=[step for step, _, _ in predicted],
            y=[value for _, value, _ in predicted],
            mode="markers",
            name="predicted final value",
            marker={"color": MUTED, "symbol": "diamond-open", "size": 7},
            text=[_reason(one.trial) for _, _, one in predicted],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_xaxes(title="step")
    figure.update_yaxes(title=escape(label(reading.objectives[0])))
    return styled(figure, height=420)


def plot_extrapolation(
    study: optuna.Study,
    trial: int,
    *,
    objective: int = 0,
    method: str | CurveModel = DEFAULT,
) -> go.Figure:
    """One trial's curve with bands of what was to come, and what pruning it saved.

    The bands hold 50 % and 90 % of the probability, learning from the trials that had completed
    before this one ended.

    Args:
        study: The study.
        trial: Number of the trial.
        objective: Index of the objective, where there are several.
        method: How curves are extrapolated; see `optuna_nas.curves`.

    Raises:
        ValueError: The trial reported nothing, or no step is left to look ahead to.
    """
    reading = read_study(study)
    reports = {one.trial.number: one for one in reports_of(reading, objective)}
    if trial not in reports:
        raise ValueError(f"trial: expected one that has ended with reports, got {trial}.")
    one = reports[trial]
    ended = one.trial.datetime_complete
    peers = [
        other
        for other in reports.values()
        if other.trial.state == TrialState.COMPLETE
        and other is not one
        and (other.trial.datetime_complete or 0, other.trial.number) < (ended or 0, trial)
    ][-PEERS:]
    last, horizon = float(one.steps[-1]), _horizon(one, peers)
    if horizon <= last:
        raise ValueError(f"trial: expected one that was pruned before the last step, got {trial}.")
    ahead = np.unique(np.linspace(last, horizon, AHEAD + 1))[1:]
    direction = "maximize" if reading.maximize[objective] else "minimize"
    posteriors = [
        _extrapolator(peers, float(step), direction, method).predict(one.values, steps=one.steps)
        for step in ahead
    ]
    figure = go.Figure()
    x = np.concatenate([[last], ahead])
    for (low, high), opacity in zip(BANDS, (0.2, 0.4), strict=True):
        lower, upper = (
            np.array([one.values[-1], *(p.quantile(q) for p in posteriors)]) for q in (low, high)
        )
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([upper, lower[::-1]]),
            mode="none",
            fill="toself",
            fillcolor=ACCENT,
            opacity=opacity,
            name=f"{100 * (high - low):.0f} % of the probability",
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=x,
        y=[one.values[-1], *(p.quantile(0.5) for p in posteriors)],
        mode="lines",
        name="median",
        line={"color": ACCENT, "dash": "dash"},
    )
    figure.add_scatter(
        x=one.steps,
        y=one.values,
        mode="lines+markers",
        name=f"trial {trial}",
        line={"color": SECOND},
        marker={"size": 4},
    )
    finals = [float(peer.values[-1]) for peer in peers]
    if finals:
        best = max(finals) if reading.maximize[objective] else min(finals)
        figure.add_hline(y=best, line={"color": MUTED, "dash": "dot"}, annotation_text="best then")
    word = "pruned" if one.trial.state == TrialState.PRUNED else "ended"
    figure.add_vline(
        x=last,
        line={"color": BAD, "width": 1},
        annotation_text=f"{word} at step {last:g}: {horizon - last:g} steps saved",
    )
    figure.update_xaxes(title="step")
    figure.update_yaxes(title=escape(label(reading.objectives[objective])))
    return styled(figure, height=420)


def plot_calibration(
    study: optuna.Study, *, objective: int = 0, method: str | CurveModel = DEFAULT
) -> go.Figure:
    """How often the final values of completed trials lay within what was predicted.

    Every completed trial is extrapolated from parts of its curve, learning from those that
    completed before it. On the diagonal an interval of 90 % holds 90 % of the finals; below it the
    predictions are over-confident. Pruned trials are not among them, for nobody knows their finals.

    Args:
        study: The study.
        objective: Index of the objective, where there are several.
        method: How curves are extrapolated; see `optuna_nas.curves`.

    Raises:
        ValueError: Too few trials have completed.
    """
    reading = read_study(study)
    reports = [r for r in reports_of(reading, objective) if r.trial.state == TrialState.COMPLETE]
    horizon = max((float(one.steps[-1]) for one in reports), default=0.0)
    full = [one for one in reports if one.steps[-1] == horizon and np.isfinite(one.values[-1])]
    if len(full) <= FEWEST:
        raise ValueError(
            f"study: expected more than {FEWEST} completed trials of full length with reports, got "
            f"{len(full)}."
        )
    direction = "maximize" if reading.maximize[objective] else "minimize"
    nominal = np.linspace(0.0, 1.0, 21)
    figure = go.Figure()
    figure.add_scatter(
        x=nominal, y=nominal, mode="lines", name="calibrated", line={"color": MUTED, "dash": "dot"}
    )
    for cutoff in CUTOFFS:
        inside = []
        for position in range(FEWEST, len(full)):
            seen = full[position].until(cutoff * horizon)
            if len(seen.steps) == 0:
                continue
            peers = full[max(0, position - PEERS) : position]
            extrapolator = _extrapolator(peers, horizon, direction, method)
            posterior = extrapolator.predict(seen.values, steps=seen.steps)
            # The smallest central interval that holds the final value.
            inside.append(abs(2.0 * posterior.cdf(float(full[position].values[-1])) - 1.0))
        if inside:
            held = [float(np.mean(np.array(inside) <= share)) for share in nominal]
            figure.add_scatter(
                x=nominal, y=held, mode="lines", name=f"from {100 * cutoff:.0f} % of the curve"
            )
    figure.update_xaxes(title="probability of the interval")
    figure.update_yaxes(title="share of final values within it")
    return styled(figure, height=420)


def _extrapolator(
    peers: Sequence[Reports], horizon: float, direction: str, method: str | CurveModel
) -> Extrapolator:
    return Extrapolator(horizon, direction, method=method).fit(
        [peer.values for peer in peers], peer_steps=[peer.steps for peer in peers]
    )


def _horizon(one: Reports, peers: Sequence[Reports]) -> float:
    record = curve_of(one.trial)
    if record is not None and record.max_step is not None:
        return float(record.max_step)
    return max((float(peer.steps[-1]) for peer in peers), default=0.0)


def _reason(trial: FrozenTrial) -> str:
    text = f"trial {trial.number}"
    record = curve_of(trial)
    if record is not None and record.probability is not None and record.predicted:
        text += (
            f": pruned at step {record.stopped_at}, chance {100 * record.probability:.2g} %, "
            f"predicted {record.predicted[0]:.4g}"
        )
    return text
