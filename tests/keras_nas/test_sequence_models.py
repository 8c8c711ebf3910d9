"""Spaces of texts, sequences and vision transformers as Keras models, from data to a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_nas import NASObjective, build_model, export_onnx
from keras_nas._keras import keras
from keras_nas.data import Dataset, load
from keras_nas.delivery import deliver
from keras_nas.export import prove
from keras_nas.graph_of import graph_of
from keras_nas.isolation import LocalChannel
from keras_nas.training import predict, train
from optuna_nas import SearchSpace
from optuna_nas.spaces import darts_rnn, sequence_cnn_rnn, text_classifier, vision_transformer

# Keras hands TensorFlow variables to NumPy in a way NumPy 2 finds old.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TOKENS = 20
SMALL = [
    text_classifier(
        input_shape=(6,), classes=3, vocabulary=TOKENS, widths=(4, 6), units=(3, 5), key_dim=2
    ),
    darts_rnn(input_shape=(4,), classes=3, vocabulary=TOKENS, width=3, units=4, nodes=3),
    sequence_cnn_rnn(input_shape=(9, 2), classes=3, widths=(4, 6), key_dim=2),
    vision_transformer(
        input_shape=(9, 6, 1), classes=3, patch=3, widths=(4, 6), depths=(1, 2), heads=(1, 2),
        key_dim=3, mlp_ratios=(1.5, 2.0), dropout_rate=0.1,
    ),
]  # fmt: skip


def examples(space: SearchSpace, rng: np.random.Generator) -> np.ndarray:
    shape = (4, *space.input_shape)
    if len(space.input_shape) == 1:
        return rng.integers(0, TOKENS, shape).astype(np.float32)
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("space", SMALL, ids=lambda space: space.name)
@pytest.mark.parametrize("seed", range(3))
def test_draws_build_train_export_and_agree(space: SearchSpace, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    graph = space.graph(space.sample(rng))
    model = build_model(graph, seed=seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss, run_eagerly=True)
    x = examples(space, rng)
    assert np.isfinite(model.train_on_batch(x, np.array([0, 1, 2, 0])))
    assert graph_of(model).graph.canonical_id == graph.canonical_id
    proof = prove(model, export_onnx(model, tmp_path / "model.onnx", method="graph"), x)
    assert proof.passed, proof


@pytest.mark.slow
@pytest.mark.parametrize("space", SMALL, ids=lambda space: space.name)
@settings(max_examples=6)
@given(seed=st.integers(0, 2**32 - 1))
def test_keras_counts_what_the_graph_counts(space: SearchSpace, seed: int) -> None:
    graph = space.graph(space.sample(np.random.default_rng(seed)))
    model = build_model(graph)
    assert model.count_params() == graph.params + graph.non_trainable_params


@pytest.mark.slow
def test_a_real_network_has_as_many_parameters_in_keras() -> None:
    space = vision_transformer()
    assert build_model(space.graph(space.references["DeiT-Ti"])).count_params() == 5_717_416


@pytest.mark.slow
@pytest.mark.parametrize("name", ["BiLSTM with attention", "transformer"])
def test_the_order_of_words_is_learned(name: str) -> None:
    """The class is the word that comes first of two that every text has."""
    space = text_classifier(
        input_shape=(8,), vocabulary=TOKENS, widths=(8,), units=(8,), key_dim=8, max_blocks=1
    )
    rng = np.random.default_rng(0)
    x = rng.integers(4, TOKENS, (256, 8)).astype(np.float32)
    y = rng.integers(0, 2, 256)
    for row, label in enumerate(y):
        first, second = np.sort(rng.choice(8, 2, replace=False))
        x[row, first], x[row, second] = 2 + label, 3 - label
    model = build_model(space.graph(space.references[name]), seed=0)
    train(model, x[:192], y[:192], epochs=30, batch_size=32, learning_rate=1e-2)
    right = predict(model, x[192:]).argmax(1) == y[192:]
    assert right.mean() > 0.9


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Sentences from the descriptions of two of scikit-learn's data sets."""
    from sklearn import datasets

    path = tmp_path_factory.mktemp("texts") / "descriptions.csv"
    lines = ["about,sentence\n"]
    for name in ("breast_cancer", "iris", "wine"):
        text = " ".join(getattr(datasets, f"load_{name}")().DESCR.split())
        sentences = [s.replace('"', "'") for s in text.split(". ") if len(s.split()) > 3]
        lines += [f'{name},"{sentence}"\n' for sentence in sentences]
    path.write_text("".join(lines), encoding="utf-8")
    return load(path, target="about")


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_optuna")
def test_a_search_on_texts(texts: Dataset, tmp_path: Path) -> None:
    assert texts.kind == "texts"
    space = text_classifier(
        input_shape=texts.input_shape, classes=3, vocabulary=len(texts.vocabulary), widths=(4,)
    )
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.enqueue_trial(space.references["fastText"].params)
    with NASObjective(space, texts, epochs=1, isolation="none", latency_seconds=0.01) as objective:
        study.optimize(objective, n_trials=2)
    assert [trial.state for trial in study.trials] == [optuna.trial.TrialState.COMPLETE] * 2
    texts.save(tmp_path)
    graph = space.graph(space.genotype(study.trials[0].params)).to_json()
    plan = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-2, "seed": 0}
    delivery = deliver(LocalChannel(lambda _: None), str(tmp_path), graph, plan, f"{tmp_path}/best")
    assert delivery.proof["passed"]
    assert delivery.proof["reload_difference"] < 1e-6
    model = keras.models.load_model(delivery.keras_file)
    assert model.inputs[0].dtype == "int32"
    np.testing.assert_allclose(model(texts.x_test[:2]).numpy().sum(1), 1, atol=1e-5)
