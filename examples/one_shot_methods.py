"""SPOS, FairNAS and ENAS: shared weights, and a sampler that searches with them, on digits.

Budgets are tiny, so that all run in half a minute; papers train for hundreds of epochs.
"""

import optuna
from sklearn.datasets import load_digits

from keras_nas import Supernet, build_model
from keras_nas.supernet import GivenPolicy
from keras_nas.training import evaluate, train
from optuna_nas import Choice, Repeat, SearchSpace, samplers
from optuna_nas.errors import InfeasibleArchitectureError
from optuna_nas.space import conv, global_average_pooling, identity, max_pooling, separable_conv

optuna.logging.set_verbosity(optuna.logging.ERROR)
digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")
x, x_val, y, y_val = images[:600], images[600:900], digits.target[:600], digits.target[600:900]

kinds = {"skip": identity(), "1x1": conv(kernel=1), "3x3": conv(), "separable": separable_conv()}
body = [conv(12), Repeat("block", 4, 4, Choice("kind", kinds)), max_pooling(2), conv(16),
        global_average_pooling()]  # fmt: skip
space = SearchSpace("blocks", input_shape=(8, 8, 1), classes=10, body=body, max_macs=300_000)
budget = {"epochs": 6, "batch_size": 32, "learning_rate": 0.1, "progress": False}


def search(study, supernet, trials):
    """Evaluate with inherited weights; what is over the limit is rejected before it is computed."""

    def objective(trial):
        return supernet.evaluate(space.suggest(trial), x_val, y_val, calibration=x[:256])[1]

    study.optimize(objective, n_trials=trials, catch=InfeasibleArchitectureError)
    return [t for t in study.get_trials()[-trials:] if t.value is not None]


def spos():
    """Guo et al. 2020: one path a step, drawn uniformly; then evolution."""
    supernet = Supernet(space, policy="uniform", seed=0)
    supernet.fit(x, y, **budget)
    sampler = samplers.RegularizedEvolutionSampler(space=space, n_startup_trials=10, seed=0)
    return search(optuna.create_study(direction="maximize", sampler=sampler), supernet, 20)


def fair_nas():
    """Chu et al. 2021: in each step every alternative once; here with a predictor."""
    supernet = Supernet(space, policy="fair", seed=0)
    supernet.fit(x, y, **budget)
    sampler = samplers.PredictorSampler(space=space, seed=0)
    return search(optuna.create_study(direction="maximize", sampler=sampler), supernet, 20)


def enas():
    """Pham et al. 2018: a controller and the weights in turn; then the controller's favourites."""
    sampler = samplers.PolicyGradientSampler(space=space, deduplicate=False, seed=0)
    study, drawn = optuna.create_study(direction="maximize", sampler=sampler), []

    def draw(rng):
        return drawn[rng.integers(len(drawn))] if drawn else space.sample(rng)

    supernet = Supernet(space, policy=GivenPolicy(draw), seed=0)

    def controller_learns(epoch, figures):
        drawn[:] = [space.genotype(trial.params) for trial in search(study, supernet, 8)]

    supernet.fit(x, y, on_epoch_end=controller_learns, **budget)
    return search(study, supernet, 8)


for method in (spos, fair_nas, enas):
    best = sorted(method(), key=lambda trial: -trial.value)[:2]
    scores = []
    for genotype in (space.genotype(trial.params) for trial in best):  # trained alone
        model = build_model(space.graph(genotype), seed=0)
        train(model, x, y, epochs=8, batch_size=32, learning_rate=0.01)
        scores.append((evaluate(model, x_val, y_val)[1], genotype.params))
    print(f"{method.__name__:8} %.3f %s" % max(scores, key=lambda score: score[0]))
