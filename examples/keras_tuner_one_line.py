"""A `build(hp)` as Keras Tuner's guide has it, led by Optuna: one line is another."""

import tempfile

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_nas import OptunaTuner
from optuna_nas.pruners import LearningCurvePruner
from optuna_nas.samplers import PredictorSampler

x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x / 16, y, test_size=400, random_state=0)
validation = (x_val, y_val)


def build(hp):
    """Some dense layers, perhaps dropout, and a learning rate."""
    model = keras.Sequential([keras.Input((64,))])
    for i in range(hp.Int("layers", 1, 3)):
        units = hp.Int(f"units_{i}", min_value=32, max_value=128, step=32)
        model.add(keras.layers.Dense(units, activation=hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(0.25))
    model.add(keras.layers.Dense(10, activation="softmax"))
    rate = hp.Float("learning_rate", min_value=1e-4, max_value=1e-2, sampling="log")
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


keras.utils.set_random_seed(0)
# Before: tuner = keras_tuner.RandomSearch(build, objective="val_accuracy", max_trials=8,
tuner = OptunaTuner(
    build,
    objective="val_accuracy",
    max_trials=8,
    sampler=PredictorSampler(seed=0),
    pruner=LearningCurvePruner(max_step=5),
    directory=tempfile.mkdtemp(),
    project_name="digits",
)
tuner.search(x_train, y_train, epochs=5, batch_size=128, validation_data=validation, verbose=0)
tuner.results_summary(num_trials=3)

best = tuner.get_best_models()[0]
accuracy = best.evaluate(*validation, verbose=0)[1]
epochs = sum(len(trial.intermediate_values) for trial in tuner.study.trials)
print(f"best {accuracy:.3f}; {epochs} epochs instead of {8 * 5}")
