"""What the page says: every section's text and numbers, ready to be laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna_nas._optuna import SPACE
from optuna_nas._version import __version__
from optuna_nas.report.cost import SearchCost, cost_of
from optuna_nas.report.drawing import draw_architecture
from optuna_nas.report.figures import ACCENT, MUTED, SECOND
from optuna_nas.report.leaderboard import LeaderboardRow
from optuna_nas.report.measures import head, label, measured, noun
from optuna_nas.report.pictures import pictures_of
from optuna_nas.report.provenance import flat_facts, provenance_of
from optuna_nas.report.pruning import PruningCost, pruning_cost_of
from optuna_nas.report.reading import StudyReading
from optuna_nas.report.supernet import SupernetHistory, alarm_text, read_supernet
from optuna_nas.report.text import number, percent, plain, seconds
from optuna_nas.report.winner import (
    ModelInfo,
    files_of,
    latency_of,
    proof_of,
    winning_graph,
    winning_row,
)

if TYPE_CHECKING:
    from optuna_nas.graph import ArchitectureGraph
    from optuna_nas.space import SearchSpace

ROWS = 100  # rows of the page's table; all are in leaderboard.csv
REASONS = 20
NODES = 12
_SUPERNET = {
    "accuracy": "training accuracy of the supernet",
    "val_accuracy": "its validation accuracy",
    "entropy": "entropy: 1 open, 0 decided",
    "share_of_skips": "of the choices are skips",
    "share_of_none": "are none",
    "eigenvalue": "dominant eigenvalue",
}
_SHARES = ("accuracy", "val_accuracy", "share_of_skips", "share_of_none")
_FATES = {
    "COMPLETE": "completed",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


def content_of(
    reading: StudyReading,
    rows: Sequence[LeaderboardRow],
    *,
    space: SearchSpace | None,
    data: Mapping[str, object],
    model: ModelInfo,
    environment: Mapping[str, object] | None,
    title: str | None,
    folder: Path,
) -> dict[str, Any]:
    """Names and values of the template."""
    cost = cost_of(reading)
    pruning = pruning_cost_of(reading)
    winner = winning_row(rows, model)
    graph: ArchitectureGraph | None = None
    no_drawing = ""
    latency: Mapping[str, Any] = {}
    if winner is not None:
        graph, no_drawing = winning_graph(reading, winner, model, space)
        latency = latency_of(winner, reading, model)
    supernet = read_supernet(reading, space)
    figures, sliced = pictures_of(reading, rows, winner, latency, supernet)
    shown = list(rows[:ROWS])
    if winner is not None and winner not in shown:
        shown.append(winner)
    sections = [("summary", "Summary"), ("leaderboard", "Leaderboard")]
    if figures["pareto"]:
        sections.insert(1, ("front", "Pareto front"))
    if winner is not None:
        sections.append(("architecture", "Architecture"))
    if supernet is not None:
        sections.append(("supernet", "Supernet"))
    sections += [
        (anchor, name)
        for anchor, name, figure in (
            ("curves", "Learning curves", "curves"),
            ("pruning", "Pruning", "pruning"),
            ("search", "Search", "history"),
            ("importances", "What mattered", "importances"),
        )
        if figures[figure]
    ]
    sections += [("cost", "Cost"), ("provenance", "Provenance")]
    measures = _measures(reading, shown)
    return {
        "title": title or f"Architecture search: {reading.study.study_name}",
        "lead": _lead(reading, rows, space),
        "sections": sections,
        "winner": winner and _winner(reading, winner),
        "nothing": _nothing(reading),
        "headline": _headline(reading, winner, model, latency, graph),
        "proof": proof_of(model),
        "files": files_of(model, folder),
        "data": flat_facts(data),
        "front_note": _front_note(reading, rows),
        "columns": [*map(head, (*reading.objectives, *measures)), "×"],
        "rows": [_table_row(reading, row, measures) for row in shown],
        "table_note": _table_note(reading, rows),
        "supernet": supernet and _supernet(supernet),
        "drawing": draw_architecture(graph) if graph is not None else "",
        "no_drawing": no_drawing,
        "latency_note": _latency_note(latency),
        "operations": _slowest(latency),
        "figures": figures,
        "sliced": sliced,
        "cost_facts": _cost_facts(cost),
        "pruning_facts": _pruning_facts(reading, pruning),
        "shares": _shares(cost),
        "failures": _failures(cost),
        "provenance": provenance_of(reading, space, environment, latency),
        "written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "version": __version__,
    }


def _fact(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _lead(reading: StudyReading, rows: Sequence[LeaderboardRow], space: SearchSpace | None) -> str:
    trials = len(reading.trials)
    ways = [
        f"{noun(name)} ({'more' if up else 'less'} is better)"
        for name, up in zip(reading.objectives, reading.maximize, strict=True)
    ]
    aims = " and ".join([", ".join(ways[:-1]), ways[-1]] if ways[1:] else ways)
    name = (
        space.name if space is not None else (reading.study.user_attrs.get(SPACE) or {}).get("name")
    )
    where = f" in the space “{name}”" if name else ""
    what = f" with {len(rows):,} different architecture{'s' * (len(rows) != 1)}" if rows else ""
    return f"{trials:,} trial{'s' * (trials != 1)}{what}{where}, searched for {aims}."


def _nothing(reading: StudyReading) -> str:
    if not reading.trials:
        return "The study has no trials yet."
    if reading.complete:
        return "No completed trial keeps all limits, so there is no best model."
    return "No trial has completed, so there is no best model yet; see what the search cost below."


def _winner(reading: StudyReading, row: LeaderboardRow) -> dict[str, Any]:
    values = ", ".join(
        f"{noun(name)} {measured(name, value)}" for name, value in row.values.items()
    )
    place = f"The best model is trial {row.trial}" + (f": {values}." if values else ".")
    on_front = sum(trial.number in reading.front for trial in reading.complete)
    if len(reading.objectives) > 1 and row.on_front:
        place += f" It is one of {on_front} on the Pareto front."
    return {
        "trial": row.trial,
        "canonical_id": row.canonical_id,
        "genotype": {name: plain(value) for name, value in row.genotype.items()},
        "sentence": place,
    }


def _headline(
    reading: StudyReading,
    row: LeaderboardRow | None,
    model: ModelInfo,
    latency: Mapping[str, Any],
    graph: ArchitectureGraph | None,
) -> list[dict[str, str]]:
    if row is None:
        return []
    facts = []
    if "test_accuracy" in model:
        facts.append(_fact("test accuracy", measured("accuracy", model["test_accuracy"])))
    known: dict[str, float | None] = dict(row.values)
    known.setdefault("accuracy", row.accuracy)
    known.setdefault("latency_ms", row.latency_ms or latency.get("median_ms"))
    known.setdefault("params", row.params if graph is None else graph.params)
    known.setdefault("macs", row.macs if graph is None else graph.macs)
    facts += [
        _fact(noun(name), measured(name, value))
        for name, value in known.items()
        if value is not None
    ]
    return facts


def _front_note(reading: StudyReading, rows: Sequence[LeaderboardRow]) -> str:
    on_front = sum(row.on_front for row in rows)
    note = f"{on_front} architecture{'s' * (on_front != 1)} that no other beats in everything."
    if len(reading.objectives) > 2:
        note += " A point may be on the front for what another panel shows."
    return note


def _measures(reading: StudyReading, rows: Sequence[LeaderboardRow]) -> list[str]:
    """Columns beside the objectives that at least one row fills."""
    names = ("accuracy", "latency_ms", "params", "macs", "epochs", "seconds")
    return [
        name
        for name in names
        if name not in reading.objectives and any(getattr(row, name) is not None for row in rows)
    ]


def _table_row(
    reading: StudyReading, row: LeaderboardRow, measures: Sequence[str]
) -> dict[str, Any]:
    values = [(name, row.values.get(name)) for name in reading.objectives]
    values += [(name, getattr(row, name)) for name in measures]
    # The head of the column has the unit.
    cells = [(value, measured(name, value).removesuffix(" ms")) for name, value in values]
    state, tag = row.state.lower(), ""
    if not row.feasible:
        state, tag = "over limit", " off"
    elif row.on_front:
        state, tag = ("front" if len(reading.objectives) > 1 else "best"), " on"
    return {
        "rank": row.rank,
        "trial": row.trial,
        "cells": [*cells, (row.repeats, str(row.repeats))],
        "state": state,
        "tag": tag,
        "on_front": row.on_front,
        "genotype": {name: plain(value) for name, value in row.genotype.items()},
    }


def _table_note(reading: StudyReading, rows: Sequence[LeaderboardRow]) -> str:
    first = label(reading.objectives[0])
    note = f"Each architecture once, with its best trial; × counts its trials. By {first}"
    note += ", the Pareto front first." if len(reading.objectives) > 1 else "."
    if len(rows) > ROWS:
        note += f" The first {ROWS} of {len(rows):,}; leaderboard.csv has all."
    return note


def _latency_note(latency: Mapping[str, Any]) -> str:
    parts = []
    if latency.get("median_ms") is not None:
        text = f"median {number(latency['median_ms'])} ms"
        interval = latency.get("ci_ms")
        if interval:
            text += f" (95 % interval {number(interval[0])} to {number(interval[1])})"
        parts.append(text)
    if latency.get("p90_ms") is not None:
        parts.append(f"90th percentile {number(latency['p90_ms'])} ms")
    if latency.get("runs"):
        parts.append(f"{latency['runs']:,} runs")
    return ", ".join(parts).capitalize()


def _slowest(latency: Mapping[str, Any]) -> list[dict[str, str]]:
    nodes = sorted(latency.get("operations") or (), key=lambda node: -node["ms"])
    return [
        {
            "name": str(node["name"]),
            "kind": str(node["kind"]),
            "ms": number(node["ms"], 3),
            "share": percent(node["share"]),
        }
        for node in nodes[:NODES]
    ]


def _cost_facts(cost: SearchCost) -> list[dict[str, str]]:
    facts = [_fact(f"trials {_FATES[state]}", f"{n:,}") for state, n in cost.states.items()]
    if not facts:
        facts.append(_fact("trials", "0"))
    if cost.rejected:
        facts.append(_fact("of these over a limit, never trained", f"{cost.rejected:,}"))
    if cost.repeats:
        facts.append(_fact("of these repeated architectures", f"{cost.repeats:,}"))
    if cost.epochs:
        facts.append(_fact("epochs trained", f"{cost.epochs:,}"))
    if cost.elapsed:
        facts.append(_fact("first start to last end", seconds(cost.elapsed)))
    return facts


def _pruning_facts(reading: StudyReading, cost: PruningCost | None) -> list[dict[str, str]]:
    if cost is None:
        return []
    facts = [_fact("trials pruned", f"{cost.pruned:,}")]
    if cost.saved:
        facts.append(_fact("steps saved", f"{cost.saved:,.0f} ({percent(cost.share)})"))
    if cost.chance is not None:
        facts.append(_fact("chance that a better trial was pruned, at most", percent(cost.chance)))
    if cost.regret is not None:
        lost = measured(reading.objectives[0], cost.regret)
        facts.append(_fact("expected loss by that, at most", lost))
    return facts


def _supernet(history: SupernetHistory) -> dict[str, Any]:
    last = history.status[-1]
    facts = [_fact("epochs", f"{history.epochs[-1]:,}")]
    facts += [
        _fact(name, measured("accuracy", last[key]) if key in _SHARES else number(last[key]))
        for key, name in _SUPERNET.items()
        if isinstance(last.get(key), float)
    ]
    return {"alarm": alarm_text(history), "facts": facts, "drawn": bool(history.values)}


def _shares(cost: SearchCost) -> list[dict[str, Any]]:
    """Where the trials' time went, as shares of its bar."""
    known = cost.training + cost.measuring
    total = max(cost.trials, known)
    if not known:
        return []
    parts = (
        ("training", cost.training, ACCENT),
        ("measuring latency", cost.measuring, SECOND),
        ("building, waiting and the rest", total - known, MUTED),
    )
    return [
        {
            "name": name,
            "percent": f"{100 * time / total:.2f}",
            "time": seconds(time),
            "color": color,
        }
        for name, time, color in parts
    ]


def _failures(cost: SearchCost) -> list[tuple[str, int]]:
    shown = list(cost.failures[:REASONS])
    rest = sum(number for _, number in cost.failures[REASONS:])
    return [*shown, ("other reasons", rest)] if rest else shown
