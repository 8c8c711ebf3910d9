"""A search on a table with a column of categories, joint with how networks are trained."""

import numpy as np
import optuna
from sklearn.datasets import load_diabetes

from keras_nas import NASObjective
from keras_nas.data import Source, make_dataset
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.spaces import tabular_mlp, training_decisions

# Scikit-learn's patients: will diabetes progress faster than in half of them? Sex and decade of age
# are categories.
patients = load_diabetes(scaled=False)
sex, decade = patients.data[:, 1].astype(int) - 1, patients.data[:, 0].astype(int) // 10
decade -= decade.min()
features = np.column_stack([sex, decade, patients.data[:, 2:]])
faster = (patients.target > np.median(patients.target)).astype(int)
source = Source("diabetes", features, faster, categorical=(0, 1))
data = make_dataset(source, seed=0, validation=0.25, test=0.25)

space = tabular_mlp(
    input_shape=data.input_shape,
    classes=2,
    categories={0: 2, 1: int(decade.max()) + 1},
    widths=(8, 16, 32),
    training=training_decisions(batch_sizes=(32, 64)),
)
print(space.describe())

with NASObjective(space, data, objectives=["accuracy", "params"], epochs=12) as objective:
    study = optuna.create_study(
        directions=objective.directions,
        sampler=RegularizedEvolutionSampler(space=space, population_size=4, seed=0),
    )
    study.optimize(objective, n_trials=8)

for trial in study.best_trials:
    accuracy, params = trial.values
    genotype = space.genotype(trial.params)
    print(f"{100 * accuracy:.1f} %, {params:.0f} parameters, {space.training(genotype)}")
