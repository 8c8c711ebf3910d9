"""Gradient-based search in an ordinary Optuna study: trials come from a supernet's alphas.

The first trial is the architecture that gradients found; the others are drawn by probability. Each
is trained alone here. To evaluate them with the supernet's weights instead, train those on single
paths, as policy="gumbel" does, and let the objective return supernet.evaluate(...)[1].
"""

import optuna
from sklearn.datasets import load_digits

from keras_nas import Supernet, build_model
from keras_nas.training import evaluate, train
from optuna_nas import spaces
from optuna_nas.report import write_report
from optuna_nas.samplers import DARTSSampler

digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")
x, x_val, y, y_val = images[:600], images[600:900], digits.target[:600], digits.target[600:900]

space = spaces.nas_bench_201(input_shape=(8, 8, 1), classes=10, channels=4, cells=1)
supernet = Supernet(space, policy="softmax", seed=0)
supernet.prepare(x, y, epochs=6, batch_size=32, learning_rate=0.1, alpha_learning_rate=0.02)


def objective(trial):
    genotype = space.suggest(trial)
    model = build_model(space.graph(genotype), seed=0)
    train(model, x, y, epochs=5, batch_size=32, learning_rate=0.01)
    return evaluate(model, x_val, y_val)[1]


optuna.logging.set_verbosity(optuna.logging.WARNING)
sampler = DARTSSampler(space=space, source=supernet, temperature=0.5, seed=0)
study = optuna.create_study(direction="maximize", sampler=sampler)
study.optimize(objective, n_trials=5)
for trial in study.trials:
    print(trial.number, f"{trial.value:.3f}", trial.params)
print("alphas over the epochs, and how well they knew:", write_report(study, "darts").name)
