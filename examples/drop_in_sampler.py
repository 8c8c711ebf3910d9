"""An objective that was there before, with conditional parameters: only the sampler is new."""

import optuna
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from optuna_nas.samplers import RegularizedEvolutionSampler

x, y = load_digits(return_X_y=True)
x, y = x[::3] / 16, y[::3]


def objective(trial: optuna.Trial) -> float:
    if trial.suggest_categorical("classifier", ["svm", "trees"]) == "svm":
        gamma = trial.suggest_float("gamma", 1e-3, 1e1, log=True)
        model = SVC(C=trial.suggest_float("C", 1e-2, 1e2, log=True), gamma=gamma)
    else:
        depth = trial.suggest_int("max_depth", 2, 12)
        model = ExtraTreesClassifier(n_estimators=30, max_depth=depth, random_state=0)
    return float(cross_val_score(model, x, y, cv=3).mean())


study = optuna.create_study(direction="maximize", sampler=RegularizedEvolutionSampler(seed=0))
study.optimize(objective, n_trials=40)
print(f"{study.best_value:.3f} with {study.best_params}")
