"""From a study to what people read: leaderboard, Pareto front, pictures, one HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna_nas.report.drawing import draw_architecture
from optuna_nas.report.files import write_leaderboard
from optuna_nas.report.leaderboard import LeaderboardRow, leaderboard, pareto_front
from optuna_nas.report.page import write_report
from optuna_nas.report.space_drawing import draw_space
from optuna_nas.report.winner import ModelInfo

if TYPE_CHECKING:
    from optuna_nas.report.pruning_figures import plot_calibration, plot_extrapolation

__all__ = [
    "LeaderboardRow",
    "ModelInfo",
    "draw_architecture",
    "draw_space",
    "leaderboard",
    "pareto_front",
    "plot_calibration",
    "plot_extrapolation",
    "write_leaderboard",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in ("plot_calibration", "plot_extrapolation"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from optuna_nas.report import pruning_figures  # with Plotly, which the rest does without

    return getattr(pruning_figures, name)
