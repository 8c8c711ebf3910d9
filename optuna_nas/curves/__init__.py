"""Learning curves: where will this one be at the horizon? No Optuna here.

`extrapolate` answers for one curve, `Extrapolator` for many of one study. The models behind them
share one small protocol, `CurveModel`.
"""

from optuna_nas.curves.closed_form import ClosedForm
from optuna_nas.curves.curve import Curve
from optuna_nas.curves.extrapolation import METHODS, Extrapolator, extrapolate
from optuna_nas.curves.last_value import LastValue
from optuna_nas.curves.model import CurveModel, Predictor
from optuna_nas.curves.network import Network
from optuna_nas.curves.parametric import Parametric
from optuna_nas.curves.posterior import Posterior
from optuna_nas.curves.warm import Warm

__all__ = [
    "METHODS",
    "ClosedForm",
    "Curve",
    "CurveModel",
    "Extrapolator",
    "LastValue",
    "Network",
    "Parametric",
    "Posterior",
    "Predictor",
    "Warm",
    "extrapolate",
]
