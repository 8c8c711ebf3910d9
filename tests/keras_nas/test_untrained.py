"""What is measured of a model before it is trained."""

from __future__ import annotations

import json

import numpy as np
import optuna
import pytest

from keras_nas import build_model, latency_scale
from keras_nas._keras import keras
from keras_nas.binding import anchor_of, save_anchor
from keras_nas.graph_of import graph_of
from keras_nas.untrained import KNOWN, UnmeasurableModelError, measure_untrained
from optuna_nas.spaces import tabular_mlp


def _sequential() -> keras.Model:
    return keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5, "relu"), keras.layers.Dense(3, "softmax")]
    )


class _Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.layer = keras.layers.Dense(3)

    def call(self, x):
        return self.layer(x)


def test_counts_of_any_model() -> None:
    values = measure_untrained(_sequential(), ("params", "macs")).values
    assert values["params"] == 6 * 5 + 5 + 5 * 3 + 3
    assert 6 * 5 + 5 * 3 <= values["macs"] <= values["params"]  # one a weight


def test_counts_of_a_graph_are_those_of_its_model() -> None:
    space = tabular_mlp(input_shape=(6,), classes=3)
    graph = space.graph(space.sample(np.random.default_rng(0)))
    model = build_model(graph)
    by_layers = measure_untrained(model, ("params", "macs")).values
    model.architecture = graph
    by_graph = measure_untrained(model, ("params", "macs")).values
    assert by_graph == by_layers == {"params": graph.params, "macs": graph.macs}


def test_latency_and_size_are_those_of_the_exported_model() -> None:
    untrained = measure_untrained(_sequential(), KNOWN, reference_ms=0.05, budget_seconds=0.01)
    assert set(untrained.values) == set(KNOWN)
    latency = untrained.latency
    assert latency is not None
    assert latency.anchor_reference_ms == 0.05
    assert untrained.values["latency_ms"] == latency.calibrated_ms > 0
    weights = 4 * untrained.values["params"]
    assert weights < untrained.values["size_bytes"] < weights + 5000


def test_subclassed_models_have_parameters_only() -> None:
    model = _Subclassed()
    model(keras.ops.zeros((1, 4)))
    assert measure_untrained(model, ("params",)).values == {"params": 15}
    with pytest.raises(UnmeasurableModelError, match=r"macs: expected .* got .*_Subclassed"):
        measure_untrained(model, ("params", "macs"))


def test_layers_no_graph_knows_are_exported_by_keras() -> None:
    inputs = keras.Input((4,))
    outputs = keras.layers.Lambda(keras.ops.sin, output_shape=(4,))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(outputs))
    with pytest.raises(Exception, match="Lambda"):
        graph_of(model)
    values = measure_untrained(model, ("latency_ms", "size_bytes"), budget_seconds=0.01).values
    assert values["latency_ms"] > 0
    assert values["size_bytes"] > 4 * 10


def test_the_anchor_is_measured_once(tmp_path, monkeypatch) -> None:
    measured = iter((0.25,))
    monkeypatch.setattr(latency_scale, "anchor_reference_ms", lambda: next(measured))
    study = optuna.create_study()
    assert latency_scale.shared_reference_ms(tmp_path, study) == 0.25
    assert anchor_of(study) == 0.25
    assert latency_scale.shared_reference_ms(tmp_path, None) == 0.25  # a worker
    assert latency_scale.shared_reference_ms(tmp_path, optuna.create_study()) == 0.25


def test_the_anchor_of_the_study_counts(tmp_path) -> None:
    """A folder used again for another study takes that one's scale."""
    (tmp_path / latency_scale.FILE).write_text(json.dumps({"milliseconds": 9.0}))
    study = optuna.create_study()
    save_anchor(study, 0.5)
    assert latency_scale.shared_reference_ms(tmp_path, study) == 0.5
    assert latency_scale.shared_reference_ms(tmp_path, None) == 0.5
