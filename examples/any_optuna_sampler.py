"""One declared space under Optuna's samplers and ours, without training."""

import optuna

from optuna_nas.samplers import PredictorSampler, RegularizedEvolutionSampler
from optuna_nas.spaces import nas_bench_201

space = nas_bench_201(cells=1)


def objective(trial: optuna.Trial) -> float:
    """As many 3x3 convolutions as possible for every million multiply-accumulates."""
    genotype = space.suggest(trial)
    convolutions = sum(value == "nor_conv_3x3" for value in genotype.values())
    return convolutions / (space.graph(genotype).macs / 1e6)


samplers = {
    "random": optuna.samplers.RandomSampler(seed=0),
    "TPE": optuna.samplers.TPESampler(seed=0),
    "NSGA-II": optuna.samplers.NSGAIISampler(seed=0),
    "evolution": RegularizedEvolutionSampler(space=space, seed=0),
    "predictor": PredictorSampler(space=space, seed=0),
}
optuna.logging.set_verbosity(optuna.logging.WARNING)
for name, sampler in samplers.items():
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=60)
    print(f"{name:10} {study.best_value:.4f}")
