"""From a study to what people read: leaderboard, Pareto front, pictures, one HTML page."""

from optuna_nas.report.drawing import draw_architecture
from optuna_nas.report.files import write_leaderboard
from optuna_nas.report.leaderboard import LeaderboardRow, leaderboard, pareto_front
from optuna_nas.report.page import write_report
from optuna_nas.report.winner import ModelInfo

__all__ = [
    "LeaderboardRow",
    "ModelInfo",
    "draw_architecture",
    "leaderboard",
    "pareto_front",
    "write_leaderboard",
    "write_report",
]
