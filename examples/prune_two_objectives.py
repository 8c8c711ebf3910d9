"""Any training loop, two objectives: a network that can't join the Pareto front stops early."""

import warnings

import numpy as np
import optuna
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from optuna_nas.pruners import CurveRecorder, LearningCurvePruner

EPOCHS = 20
x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x / 16, y, random_state=0)


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Validation accuracy and the number of parameters, which is known from the start."""
    depth = trial.suggest_int("depth", 1, 3)
    sizes = [trial.suggest_int(f"units{i}", 4, 64, log=True) for i in range(depth)]
    rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    model = MLPClassifier(sizes, learning_rate_init=rate, random_state=0)
    params = float(sum((a + 1) * b for a, b in zip([64, *sizes], [*sizes, 10], strict=True)))
    with CurveRecorder(trial, known={"parameters": params}) as recorder:
        for epoch in range(1, EPOCHS + 1):
            model.partial_fit(x_train, y_train, classes=np.arange(10))
            accuracy = model.score(x_val, y_val)
            recorder.report(accuracy, epoch)
            if recorder.should_prune():
                raise optuna.TrialPruned
    return accuracy, params


warnings.simplefilter("ignore", ConvergenceWarning)
warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    directions=["maximize", "minimize"],
    sampler=optuna.samplers.RandomSampler(seed=0),
    pruner=LearningCurvePruner(EPOCHS),
)
study.set_metric_names(["accuracy", "parameters"])
study.optimize(objective, n_trials=40)

pruned = [t for t in study.trials if t.state == optuna.trial.TrialState.PRUNED]
print(f"{len(pruned)} of {len(study.trials)} trials pruned; the front:")
for trial in study.best_trials:
    print(f"  accuracy {trial.values[0]:.3f} with {trial.values[1]:,.0f} parameters")
