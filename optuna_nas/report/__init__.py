"""From a study to what people read: leaderboard, Pareto front, pictures, one HTML page."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from optuna_nas.report.drawing import draw_architecture
from optuna_nas.report.files import write_leaderboard
from optuna_nas.report.leaderboard import LeaderboardRow, leaderboard, pareto_front
from optuna_nas.report.page import write_report
from optuna_nas.report.space_drawing import draw_space
from optuna_nas.report.winner import ModelInfo

if TYPE_CHECKING:
    from optuna_nas.report.pruning_figures import plot_calibration, plot_extrapolation
    from optuna_nas.report.rank_figures import plot_ranks
    from optuna_nas.report.supernet_figures import plot_alphas, plot_emergence

# Drawn with Plotly, which the rest does without: imported when they are asked for.
_PLOTS = {
    "plot_alphas": "supernet_figures",
    "plot_calibration": "pruning_figures",
    "plot_emergence": "supernet_figures",
    "plot_extrapolation": "pruning_figures",
    "plot_ranks": "rank_figures",
}

__all__ = [
    "LeaderboardRow",
    "ModelInfo",
    "draw_architecture",
    "draw_space",
    "leaderboard",
    "pareto_front",
    "plot_alphas",
    "plot_calibration",
    "plot_emergence",
    "plot_extrapolation",
    "plot_ranks",
    "write_leaderboard",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _PLOTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"optuna_nas.report.{_PLOTS[name]}"), name)
