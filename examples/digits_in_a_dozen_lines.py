"""Accuracy against latency on handwritten digits, with any Optuna sampler."""

import optuna

from keras_nas import NASObjective
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.spaces import chain_cnn

space = chain_cnn(input_shape=(8, 8, 1), classes=10)
with NASObjective(space, "digits", objectives=("accuracy", "latency_ms"), epochs=5) as objective:
    sampler = RegularizedEvolutionSampler(space=space, seed=0)
    study = optuna.create_study(directions=objective.directions, sampler=sampler)
    study.optimize(objective, n_trials=8)

for trial in study.best_trials:
    accuracy, latency = trial.values
    print(f"trial {trial.number}: validation accuracy {accuracy:.4f}, {latency:.3f} ms")
