"""`NASHyperModel`: what it builds, how it trains, and how it stands up to a tuner."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_nas import NASHyperModel
from keras_nas._keras import keras
from keras_nas._keras_tuner import keras_tuner
from keras_nas.hyperparameters import declare, hyperparameters_of
from optuna_nas.errors import GenotypeError, NASError, SpaceError
from optuna_nas.space import (
    Choice,
    Float,
    Genotype,
    Integer,
    Maybe,
    Node,
    Parallel,
    Repeat,
    SearchSpace,
    Tied,
    activation,
    batch_normalization,
    dense,
    identity,
    zero,
)
from optuna_nas.spaces import tabular_mlp

pytestmark = pytest.mark.filterwarnings(
    "ignore:(currentThread|getName):DeprecationWarning:keras_tuner"
)

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = np.arange(24) % 3


def space_of(*training: Node, body: Sequence[Any] | None = None, **limits: int) -> SearchSpace:
    layers = [dense(Choice("units", [4, 8])), batch_normalization()] if body is None else body
    return SearchSpace(
        "s", input_shape=(4,), classes=3, body=list(layers), training=training, **limits
    )


def built(hypermodel: NASHyperModel, **decisions: Any) -> Any:
    hp = keras_tuner.HyperParameters()
    hp.values = {f"training/{name}": value for name, value in decisions.items()}
    model = hypermodel.build(hp)
    model.run_eagerly = True  # tracing takes longer than these networks
    return model


# --- build -----------------------------------------------------------------------------------


def test_a_model_is_that_of_its_genotype() -> None:
    space = space_of()
    genotype = space.genotype({"units": 8})
    model = NASHyperModel(space).build(hyperparameters_of(space, genotype))
    assert model.genotype == genotype
    assert model.architecture == space.graph(genotype).pruned()
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == space.graph(genotype).params


def test_the_loss_is_that_of_logits() -> None:
    model = built(NASHyperModel(space_of()))
    logits = model.predict(X, verbose=0).astype("float64")
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    expected = -np.log((shifted / shifted.sum(1, keepdims=True))[np.arange(24), Y]).mean()
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert accuracy == pytest.approx((logits.argmax(1) == Y).mean())


def test_dead_branches_are_left_out() -> None:
    space = space_of(
        body=[Parallel([Choice("op", {"none": zero(), "dense": dense(4)}), identity()])]
    )
    assert any(layer.op == "zero" for layer in space.graph(Genotype({"op": "none"})).layers)
    model = built(NASHyperModel(space))
    assert model.genotype == Genotype({"op": "none"})
    assert [layer.name for layer in model.layers] == ["input", "logits"]


def test_metrics_and_losses_may_be_objects() -> None:
    metric = keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    hypermodel = NASHyperModel(space_of(), loss=loss, metrics=[metric, "accuracy"])
    for _ in range(2):
        history = built(hypermodel).fit(X, Y, verbose=0).history
    assert history.keys() == {"loss", "top2", "accuracy"}
    assert not float(metric.result())  # each model counted in one of its own


def test_classes_may_be_one_hot() -> None:
    model = built(NASHyperModel(space_of(), loss="categorical_crossentropy"))
    assert model.loss.from_logits
    model.evaluate(X, np.eye(3)[Y], verbose=0)


# --- training decisions that are compiled ------------------------------------------------------


def test_learning_rate_and_weight_decay_are_the_space_s() -> None:
    space = space_of(Float("learning_rate", 1e-4, 1e-1, log=True), Float("weight_decay", 0, 0.5))
    model = built(NASHyperModel(space), learning_rate=0.02, weight_decay=0.25)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    assert model.optimizer.weight_decay == 0.25
    decayed = {v.path for v in model.trainable_variables if model.optimizer._use_weight_decay(v)}
    assert decayed == {v.path for v in model.trainable_variables if len(v.shape) == 2}


def test_undecided_settings_are_those_of_the_optimizer() -> None:
    given = keras.optimizers.RMSprop(0.03, momentum=0.5)
    space = space_of(Float("weight_decay", 0, 0.5))
    models = [built(NASHyperModel(space, optimizer=given), weight_decay=0.1) for _ in range(2)]
    for model in models:
        assert isinstance(model.optimizer, keras.optimizers.RMSprop)
        assert float(model.optimizer.learning_rate) == pytest.approx(0.03)
        assert model.optimizer.momentum == 0.5
    assert models[0].optimizer is not models[1].optimizer
    assert not given.built


@pytest.mark.parametrize(
    ("training", "momentum"),
    [
        ([Choice("optimizer", ["sgd"])], 0.9),
        ([Choice("optimizer", ["sgd"]), Choice("momentum", [0.0])], 0.0),
        ([Choice("optimizer", ["sgd"]), Choice("momentum", [0.5])], 0.5),
    ],
)
def test_sgd_of_a_space_has_nesterov_s_momentum(training: list[Node], momentum: float) -> None:
    optimizer = built(NASHyperModel(space_of(*training))).optimizer
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert (optimizer.momentum, optimizer.nesterov) == (momentum, momentum > 0)


def test_sgd_of_the_user_is_left_alone() -> None:
    space = space_of(Float("learning_rate", 0.01, 0.1))
    assert built(NASHyperModel(space, optimizer="sgd")).optimizer.momentum == 0


def test_an_optimizer_may_be_a_function_of_the_decisions() -> None:
    space = space_of(Float("beta", 0.5, 0.9))
    hypermodel = NASHyperModel(
        space, optimizer=lambda settings: keras.optimizers.Adam(beta_1=settings["beta"])
    )
    assert built(hypermodel, beta=0.75).optimizer.beta_1 == 0.75


def test_label_smoothing_is_the_same_for_integers_and_one_hot() -> None:
    space = space_of(Float("label_smoothing", 0, 0.5))
    logits = X[:, :3]

    def loss(name: str, labels: Any, smoothing: float) -> float:
        model = built(NASHyperModel(space, loss=name), label_smoothing=smoothing)
        return float(keras.ops.mean(model.loss(labels, logits)))

    expected = loss("categorical_crossentropy", np.eye(3)[Y], 0.2)
    for labels in (Y, Y[:, None], Y.astype("float32")):
        assert loss("sparse_categorical_crossentropy", labels, 0.2) == pytest.approx(expected)
    unsmoothed = loss("sparse_categorical_crossentropy", Y, 0.0)
    assert unsmoothed != pytest.approx(expected, rel=1e-3)
    assert loss("categorical_crossentropy", np.eye(3)[Y], 0.0) == pytest.approx(unsmoothed)


# --- fit -----------------------------------------------------------------------------------------


class Recorder:
    """Stands in for a model and keeps what it was fitted with."""

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        callbacks: Any = None,
        initial_epoch: int = 0,
    ) -> dict[str, Any]:
        given = {**locals()}
        return {name: given[name] for name in ("batch_size", "epochs", "callbacks")}


def fitted(space: SearchSpace, *args: Any, hp: Any = None, **kwargs: Any) -> dict[str, Any]:
    hp = hp or keras_tuner.HyperParameters()
    declare(space, hp)
    return NASHyperModel(space).fit(hp, Recorder(), *args, **kwargs)


def test_fit_passes_on_what_the_space_leaves_open() -> None:
    mine = keras.callbacks.Callback()
    record = fitted(space_of(), X, Y, 5, epochs=4, callbacks=[mine])
    assert record == {"batch_size": 5, "epochs": 4, "callbacks": [mine]}


def test_the_space_decides_before_the_search_call() -> None:
    space = space_of(Choice("batch_size", [16]), Choice("epochs", [3]))
    for args, kwargs in (((X, Y, 5, 4), {}), ((X, Y), {"batch_size": 5, "epochs": 4}), ((X,), {})):
        record = fitted(space, *args, **kwargs)
        assert (record["batch_size"], record["epochs"]) == (16, 3)


def test_hyperband_s_epochs_are_kept() -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["tuner/epochs"] = 2
    assert fitted(space_of(Choice("epochs", [3])), X, epochs=2, hp=hp)["epochs"] == 2


def test_patience_stops_early_and_the_caller_s_callbacks_stay() -> None:
    mine = keras.callbacks.Callback()
    record = fitted(space_of(Integer("patience", 3, 5)), X, callbacks=[mine])
    first, stopping = record["callbacks"]
    assert first is mine
    assert (stopping.patience, stopping.monitor) == (3, "val_loss")


def test_a_cosine_falls_from_the_learning_rate_to_zero() -> None:
    space = space_of(Choice("schedule", ["cosine", "constant"]), Choice("learning_rate", [0.1]))
    (scheduler,) = fitted(space, X, epochs=4)["callbacks"]
    rates = [scheduler.schedule(epoch, 0.0) for epoch in range(5)]
    assert rates == pytest.approx([0.1, 0.0853553, 0.05, 0.0146447, 0.0], abs=1e-6)


def test_training_lowers_the_loss() -> None:
    space = space_of(
        Choice("learning_rate", [0.05]),
        Choice("batch_size", [8]),
        Choice("epochs", [6]),
        Choice("schedule", ["cosine"]),
        Choice("patience", [6]),
    )
    hypermodel = NASHyperModel(space)
    hp = keras_tuner.HyperParameters()
    y = (X[:, 0] > 0).astype(int)
    model = hypermodel.build(hp)
    model.run_eagerly = True
    history = hypermodel.fit(hp, model, X, y, validation_data=(X, y), verbose=0)
    losses = history.history["loss"]
    assert len(losses) == 6
    assert losses[-1] < 0.7 * losses[0]


# --- what is refused -----------------------------------------------------------------------------


def test_a_training_decision_without_effect_is_refused() -> None:
    space = space_of(Float("data_fraction", 0.1, 1.0))
    with pytest.raises(SpaceError, match=r"'data_fraction' would have no effect.*Override fit"):
        NASHyperModel(space)

    class Mine(NASHyperModel):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            return {"loss": self.space.training(self.genotype(hp))["data_fraction"]}

    hp = hyperparameters_of(space, {"units": 4, "training/data_fraction": 0.5})
    assert Mine(space).fit(hp, None) == {"loss": 0.5}


def test_losses_of_probabilities_are_refused() -> None:
    with pytest.raises(NASError, match="from_logits=True"):
        NASHyperModel(space_of(), loss=keras.losses.SparseCategoricalCrossentropy())


def test_label_smoothing_of_another_loss_is_refused() -> None:
    with pytest.raises(SpaceError, match="label_smoothing"):
        NASHyperModel(space_of(Float("label_smoothing", 0, 0.1)), loss="mse")


def test_an_infeasible_architecture_fails_its_trial() -> None:
    space = space_of(body=[dense(Choice("units", [4, 800]))], max_params=1000)
    hp = keras_tuner.HyperParameters()
    hp.values["units"] = 800
    with pytest.raises(keras_tuner.errors.FailedTrialError, match=r"Infeasible: .* max_params"):
        NASHyperModel(space).build(hp)


# --- genotypes -----------------------------------------------------------------------------------


def test_the_genotype_of_new_hyperparameters_is_the_default() -> None:
    hp = keras_tuner.HyperParameters()
    assert NASHyperModel(space_of()).genotype(hp) == Genotype({"units": 4})
    assert hp.space == []


def test_the_genotype_of_another_space_s_trial_is_refused() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("layers", 1, 3)
    with pytest.raises(GenotypeError, match="'units'"):
        NASHyperModel(space_of()).genotype(hp)


def test_untunable_declares_nothing() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("units", [8, 4])
    hypermodel = NASHyperModel(space_of(Choice("batch_size", [8, 4])), tunable=False)
    hypermodel.declare_hyperparameters(hp)
    model = hypermodel.build(hp)
    assert model.genotype.params == {"units": 8, "training/batch_size": 8}
    assert hypermodel.genotype(hp) == model.genotype
    assert [h.name for h in hp.space] == ["units"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))])
def test_copies_are_independent(copied: Any) -> None:
    hypermodel = NASHyperModel(space_of(), optimizer="sgd", name="mine")
    twin = copied(hypermodel)
    del hypermodel
    model = twin.build(keras_tuner.HyperParameters())
    assert twin.name == "mine"
    assert isinstance(model.optimizer, keras.optimizers.SGD)


# --- as a guest of tuners ------------------------------------------------------------------------


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Graphs of the models built so far."""
    from keras_nas import hypermodel

    graphs: list[Any] = []

    def count(graph: Any) -> Any:
        graphs.append(graph)
        return build(graph)

    build = hypermodel.build_model
    monkeypatch.setattr(hypermodel, "build_model", count)
    return graphs


def branching() -> SearchSpace:
    """300 branches in conditions up to four deep."""
    shared = Tied(Choice("activation", ["relu", "tanh"]))
    kinds = {f"k{i}": [dense(Integer("units", 1, 4)), activation(shared)] for i in range(50)}
    inner = Choice("outer", {"some": Maybe("maybe", Choice("kind", kinds)), "none": identity()})
    return space_of(body=[Repeat("block", 0, 6, inner)])


@pytest.mark.parametrize("as_function", [False, True])
def test_making_a_tuner_builds_one_model(
    as_function: bool, builds: list[Any], tmp_path: Path
) -> None:
    hypermodel = NASHyperModel(branching())
    tuner = keras_tuner.RandomSearch(
        hypermodel.build if as_function else hypermodel,
        "val_loss",
        max_trials=1,
        directory=str(tmp_path),
    )
    assert len(builds) == 1
    assert len(tuner.oracle.get_space().space) == len(branching().distributions())


def test_inside_of_another_hypermodel(builds: list[Any], tmp_path: Path) -> None:
    nas = NASHyperModel(tabular_mlp(input_shape=(4,), classes=3))

    def build(hp: Any) -> Any:
        kind = hp.Choice("kind", ["linear", "searched"])
        with hp.conditional_scope("kind", ["searched"]), hp.name_scope("searched"):
            if kind == "searched":
                return nas.build(hp)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    tuner = keras_tuner.RandomSearch(build, "val_loss", max_trials=1, directory=str(tmp_path))
    assert len(builds) == 1
    names = [h.name for h in tuner.oracle.get_space().space]
    assert names == ["kind", *(f"searched/{name}" for name in nas.space.distributions())]
    hp = tuner.oracle.get_space()
    hp.values = {"kind": "searched"}
    hp.ensure_active_values()
    model = build(hp)
    with hp.name_scope("searched"):
        assert nas.genotype(hp) == model.genotype


def test_a_declared_space_admits_no_new_entries(tmp_path: Path) -> None:
    space = space_of()
    hp = keras_tuner.HyperParameters()
    hp.Fixed("units", 8)
    declare(space, hp)
    tuner = keras_tuner.RandomSearch(
        NASHyperModel(space),
        "val_loss",
        max_trials=1,
        hyperparameters=hp,
        allow_new_entries=False,
        directory=str(tmp_path),
    )
    assert tuner.oracle.get_space().values == {"units": 8}
