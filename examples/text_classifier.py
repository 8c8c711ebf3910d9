"""A classifier of texts, searched for: recurrent, convolutional, attending, or none of these.

    python text_classifier.py reviews.csv sentiment

searches one for a table with a column of texts and one of classes. Without a table, the sentences
are those that two packages are documented with, and the class is the package.
"""

from __future__ import annotations

import csv
import importlib
import inspect
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import optuna

from keras_nas import NASObjective, build_model
from keras_nas.data import Vocabulary, load
from keras_nas.training import evaluate, predict, train
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.spaces import text_classifier

PACKAGES = {
    "numpy": ("numpy", "numpy.linalg", "numpy.fft", "numpy.random"),
    "scikit-learn": ("sklearn.metrics", "sklearn.linear_model", "sklearn.preprocessing"),
}


def write_sentences(path: Path) -> None:
    """Sentences from the documentation of functions and classes, one a row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["package", "sentence"])
        for package, modules in PACKAGES.items():
            found = set()
            for module in map(importlib.import_module, modules):
                for name in module.__all__:
                    text = inspect.getdoc(getattr(module, name)) or ""
                    prose = re.sub(r"[^\n]*(>>>|---|::| : )[^\n]*", "", text)
                    sentences = re.findall(r"[A-Z][a-z][^.\n]+(?:\n[^.\n]+)*\.", prose)
                    found.update(" ".join(sentence.split()) for sentence in sentences)
            table.writerows([package, sentence] for sentence in sorted(found)[:800])


def main(path: str, target: str) -> None:
    data = load(path, target=target)
    words = Vocabulary(data.vocabulary, *data.input_shape)
    print(f"{data.name}: {data.rows}, {len(data.vocabulary)} words, texts of {words.length}")
    space = text_classifier(
        input_shape=data.input_shape, classes=data.classes, vocabulary=len(data.vocabulary)
    )
    study = optuna.create_study(
        direction="maximize",
        sampler=RegularizedEvolutionSampler(space=space, population_size=4, seed=0),
    )
    study.enqueue_trial(space.references["fastText"].params)
    with NASObjective(space, data, objectives=["accuracy"], epochs=2) as objective:
        study.optimize(objective, n_trials=4)
    best = space.genotype(study.best_params)
    print("best:", space.graph(best), best.params)
    model = build_model(space.graph(best), seed=0)
    train(model, data.x_train, data.y_train, epochs=3, learning_rate=3e-3)
    print(f"test accuracy: {evaluate(model, data.x_test, data.y_test)[1]:.3f}")
    sentence = "Compute the eigenvalues of a square array."
    logits = predict(model, words.encode([sentence]))
    print(f"{sentence!r}: {data.class_names[int(np.argmax(logits))]}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sentences = Path(folder) / "sentences.csv"
        if len(sys.argv) < 3:
            write_sentences(sentences)
        main(*(sys.argv[1:3] if len(sys.argv) > 2 else (str(sentences), "package")))
