"""One study, fed by a Keras Tuner and by `study.optimize`, in one database."""

import tempfile
from pathlib import Path

import keras
import optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_nas import NASHyperModel, NASObjective, OptunaTuner
from optuna_nas.samplers import PredictorSampler
from optuna_nas.spaces import chain_cnn

folder = Path(tempfile.mkdtemp())
storage = f"sqlite:///{folder / 'study.db'}"
space = chain_cnn(input_shape=(8, 8, 1), classes=10)
x, y = load_digits(return_X_y=True)
x = x.reshape(-1, 8, 8, 1) / 16
x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=400, random_state=0)

keras.utils.set_random_seed(0)
tuner = OptunaTuner(
    NASHyperModel(space),
    objective="val_accuracy",
    max_trials=3,
    sampler=PredictorSampler(space=space, seed=0),
    storage=storage,
    study_name="digits",
    directory=folder,
    project_name="tuner",
)
tuner.search(x_train, y_train, epochs=2, validation_data=(x_val, y_val), verbose=0)

study = optuna.load_study(
    study_name="digits", storage=storage, sampler=PredictorSampler(space=space, seed=0)
)
with NASObjective(space, "digits", objectives=("accuracy",), epochs=2) as objective:
    study.optimize(objective, n_trials=3)

architectures = {space.identity(space.genotype(trial.params)) for trial in study.trials}
print(f"{len(study.trials)} trials, {len(architectures)} architectures")
print(f"best {study.best_value:.3f}: {study.best_params}")
