from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_nas import Supernet, register_block
from keras_nas.supernet import GivenPolicy, SoftmaxPolicy
from optuna_nas import Genotype, SearchSpace
from optuna_nas.errors import DataError, GenotypeError, SupernetError
from optuna_nas.space import Choice, Float, conv, global_average_pooling, layer
from optuna_nas.space.layers import batch_normalization
from tests.keras_nas.supernet.tiny import CHOICE, SPACE, array, examples

X, Y = examples(24)
QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 6, "progress": False}


@pytest.fixture(scope="module")
def fitted() -> Supernet:
    """Trained on every kind of decision."""
    supernet = Supernet(SPACE, policy="softmax", seed=0)
    supernet.fit(X, Y, **QUICK)
    return supernet


def state(supernet: Supernet) -> list[np.ndarray]:
    weights = [array(v) for v in supernet.network.trainable_variables]
    return weights + [a for _, a in sorted(supernet.alphas.items())]


def same(a: Supernet, b: Supernet) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(state(a), state(b), strict=True))


# --- training ---------------------------------------------------------------------------------


def test_weights_and_alphas_learn() -> None:
    supernet = Supernet(CHOICE, policy="softmax", seed=0)
    before = state(supernet)
    history = supernet.fit(X, Y, epochs=12, batch_size=6, learning_rate=0.1, progress=False)
    assert [figures["epoch"] for figures in history] == list(range(1, 13))
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert history[-1]["learning_rate"] < history[0]["learning_rate"] == 0.1
    assert {"val_loss", "val_accuracy", "accuracy", "collapsed", "entropy"} <= set(history[0])
    assert len(supernet.alpha_history) == 12
    assert not np.array_equal(supernet.alpha_history[0]["edge"], supernet.alphas["edge"])
    assert all(not np.array_equal(a, b) for a, b in zip(before[:1], state(supernet), strict=False))


def test_alphas_come_to_what_helps() -> None:
    # Images differ in their means, which nothing but a zero takes away.
    supernet = Supernet(CHOICE, policy="softmax", seed=0, regularization=())
    supernet.fit(
        X, Y, epochs=10, batch_size=6, learning_rate=0.1, alpha_learning_rate=0.1, progress=False
    )
    names = list(supernet.graph.decisions["edge"].values)
    assert supernet.probabilities()["edge"][names.index("none")] < 0.1
    assert supernet.genotype()["edge"] != "none"


def test_the_seed_decides_everything() -> None:
    runs = [Supernet(CHOICE, policy="softmax", seed=seed) for seed in (0, 0, 1)]
    for run in runs:
        run.fit(X, Y, **QUICK)
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


@pytest.mark.parametrize("policy", ["uniform", "fair"])
def test_policies_without_alphas_train_on_all_examples(policy: str) -> None:
    supernet = Supernet(CHOICE, policy=policy, seed=0)
    seen: list[int] = []
    supernet.fit(
        X, Y, **QUICK, on_epoch_end=lambda epoch, figures: seen.append(epoch), validation_split=0.0
    )
    assert seen == [1, 2]
    assert "val_loss" not in supernet.history[0]
    assert supernet.alphas == {}
    assert len(supernet._prepared().training) == len(X)
    assert not supernet.status()["alarm"]
    assert all(len(set(logits)) == 1 for logits in supernet.logits().values())
    with pytest.raises(SupernetError, match="select_by_perturbation"):
        supernet.genotype()


def test_only_the_given_path_learns() -> None:
    policy = GivenPolicy(lambda rng: {"edge": "conv"})
    other = GivenPolicy(lambda rng: {"edge": "skip"})
    place = next(
        p
        for p in Supernet(CHOICE, policy="softmax", seed=0).network.layers
        if "conv" in p and "edge" in p
    )

    def kernel(policy: Any) -> np.ndarray:
        supernet = Supernet(CHOICE, policy=policy, seed=0)
        supernet.fit(X, Y, **QUICK, weight_decay=0.0)
        return array(supernet.network.layers[place].weights[0])

    start = array(Supernet(CHOICE, policy="softmax", seed=0).network.layers[place].weights[0])
    assert not np.array_equal(kernel(policy), start)
    assert np.array_equal(kernel(other), start)


@pytest.mark.parametrize(
    "options",
    [
        {"order": 2, "auxiliary_skip": "linear"},
        {"policy": "gumbel"},
        {"policy": "binary_gates"},
        {"policy": "dirichlet", "affine": True},
        {"policy": "sigmoid", "auxiliary_skip": "cosine"},
    ],
    ids=str,
)
def test_methods_run_and_find_an_architecture(options: dict[str, Any]) -> None:
    supernet = Supernet(CHOICE, seed=0, **{"policy": "softmax", **options})
    history = supernet.fit(X, Y, **QUICK)
    assert np.isfinite(history[-1]["loss"])
    assert supernet.space.feasible(supernet.genotype())


def test_a_second_training_begins_with_the_weights_of_the_first() -> None:
    supernet = Supernet(CHOICE, policy="softmax", seed=0)
    first = supernet.fit(X, Y, **QUICK, learning_rate=0.1)
    weights = state(supernet)[0]
    supernet.prepare(X, Y, epochs=1)
    assert supernet.history == []
    assert np.array_equal(state(supernet)[0], weights)
    supernet.advance()
    assert len(supernet.history) == 1
    assert len(first) == 2


def test_the_callback_ends_training() -> None:
    supernet = Supernet(CHOICE, policy="softmax", seed=0)
    assert len(supernet.fit(X, Y, **QUICK, on_epoch_end=lambda epoch, figures: True)) == 1


def test_perturbation_selects_and_is_remembered() -> None:
    supernet = Supernet(CHOICE, policy=SoftmaxPolicy(), seed=0)
    supernet.fit(X, Y, epochs=8, batch_size=6, learning_rate=0.1, progress=False)
    genotype = supernet.select_by_perturbation()
    assert genotype == supernet.genotype()
    copy = Supernet(CHOICE, policy="softmax", seed=1)
    copy.restore(supernet.checkpoint())
    assert copy.genotype() == genotype


def test_eigenvalues_are_measured() -> None:
    supernet = Supernet(CHOICE, policy="softmax", seed=0, eigenvalue_every=2)
    history = supernet.fit(X, Y, **QUICK)
    assert "eigenvalue" not in history[0]
    assert np.isfinite(history[1]["eigenvalue"])


# --- gradient source --------------------------------------------------------------------------


def test_it_is_a_gradient_source() -> None:
    supernet = Supernet(SPACE, policy="softmax", seed=0)
    assert supernet.status() == {"epoch": 0, "alarm": ""}
    supernet.prepare(X, Y, epochs=2, batch_size=6)
    assert supernet.advance()
    assert not supernet.advance()
    assert not supernet.advance()
    assert supernet.status()["epoch"] == 2
    logits = supernet.logits()
    for name, domain in SPACE.distributions().items():
        assert logits[name].shape == (domain.size,)


# --- checkpoints ------------------------------------------------------------------------------


def test_training_goes_on_from_a_checkpoint_as_if_never_interrupted(tmp_path: Path) -> None:
    whole = Supernet(SPACE, policy="softmax", seed=0)
    whole.fit(X, Y, **QUICK)
    file = tmp_path / "folder" / "supernet.npz"
    first = Supernet(SPACE, policy="softmax", seed=0)
    first.fit(X, Y, **QUICK, checkpoint=file, on_epoch_end=lambda epoch, figures: True)
    assert not same(first, whole)
    second = Supernet(SPACE, policy="softmax", seed=5)
    history = second.fit(X, Y, **QUICK, checkpoint=file)
    assert same(second, whole)
    assert history == whole.history
    assert len(second.alpha_history) == 2
    assert second.fit(X, Y, **QUICK, checkpoint=file) == history  # nothing is left to do
    assert same(second, whole)
    assert [path.name for path in file.parent.iterdir()] == ["supernet.npz"]


KILLED = """
import os, signal, sys
from keras_nas import Supernet
from tests.keras_nas.supernet.tiny import CHOICE, examples
x, y = examples(24)
def end(epoch, figures):
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
Supernet(CHOICE, policy="softmax", seed=0).fit(
    x, y, epochs=3, batch_size=6, progress=False, checkpoint=sys.argv[1], on_epoch_end=end
)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_training_goes_on_after_it_was_killed(tmp_path: Path) -> None:
    file = tmp_path / "supernet.npz"
    process = subprocess.run([sys.executable, "-c", KILLED, str(file)], check=False)
    assert process.returncode == -signal.SIGKILL
    resumed, whole = Supernet(CHOICE, policy="softmax"), Supernet(CHOICE, policy="softmax", seed=0)
    resumed.fit(X, Y, epochs=3, batch_size=6, progress=False, checkpoint=file)
    whole.fit(X, Y, epochs=3, batch_size=6, progress=False)
    for a, b in zip(state(resumed), state(whole), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_checkpoint_gives_weights_without_examples(fitted: Supernet) -> None:
    copy = Supernet(SPACE, policy="softmax", seed=9)
    copy.restore(fitted.checkpoint())
    assert same(copy, fitted)
    genotype = fitted.genotype()
    assert copy.genotype() == genotype
    assert copy.evaluate(genotype, X, Y) == fitted.evaluate(genotype, X, Y)
    assert copy.checkpoint() == fitted.checkpoint()


def test_checkpoints_of_something_else_are_refused(fitted: Supernet, tmp_path: Path) -> None:
    with pytest.raises(SupernetError, match="no checkpoint"):
        Supernet(CHOICE, policy="softmax").restore(b"nothing")
    with pytest.raises(SupernetError, match="another supernet"):
        Supernet(CHOICE, policy="softmax").restore(fitted.checkpoint())
    with pytest.raises(SupernetError, match="affine"):
        Supernet(SPACE, policy="softmax", affine=True).restore(fitted.checkpoint())
    file = tmp_path / "supernet.npz"
    file.write_bytes(fitted.checkpoint())
    with pytest.raises(SupernetError, match="same data"):
        Supernet(SPACE, policy="softmax").prepare(*examples(8), checkpoint=file)


# --- single architectures ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_an_extracted_model_computes_the_path_of_the_supernet(fitted: Supernet, seed: int) -> None:
    genotype = SPACE.sample(np.random.default_rng(seed))
    model = fitted.extract(genotype, calibration=X)
    assert model.architecture == SPACE.graph(genotype)
    logits = array(model(X, training=False)).astype(np.float64)
    losses = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(Y)), Y]
    loss, accuracy = fitted.evaluate(genotype, X, Y, calibration=X)
    assert losses.mean() == pytest.approx(loss, abs=1e-5)
    assert (logits.argmax(-1) == Y).mean() == pytest.approx(accuracy)


def test_affine_scales_are_carried_over() -> None:
    supernet = Supernet(SPACE, policy="softmax", affine=True, seed=0)
    supernet.fit(X, Y, **QUICK)
    genotype = supernet.genotype()
    model = supernet.extract(genotype)
    scales = [w for w in model.weights if w.name == "gamma"]
    assert any(not np.allclose(array(w), 1) for w in scales)
    images = supernet._prepared().training.x
    loss, _ = supernet.evaluate(genotype, X, Y, calibration=images)
    logits = array(model(X, training=False)).astype(np.float64)
    losses = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(Y)), Y]
    assert losses.mean() == pytest.approx(loss, abs=1e-5)


def test_calibration_gives_the_statistics_of_its_images(fitted: Supernet) -> None:
    genotype = SPACE.sample(np.random.default_rng(0))
    # All images in one batch: its statistics are those of the calibration.
    whole = fitted.evaluate(genotype, X, Y)
    assert whole == pytest.approx(fitted.evaluate(genotype, X, Y, calibration=X), abs=1e-5)
    shifted = fitted.evaluate(genotype, X + 3, Y, calibration=X)
    assert abs(shifted[0] - whole[0]) > 1e-3
    assert fitted.evaluate(genotype, X + 3, Y, batch_size=12) != pytest.approx(whole, abs=1e-3)


def test_evaluations_change_nothing(fitted: Supernet) -> None:
    before = state(fitted)
    for seed in range(5):
        fitted.evaluate(SPACE.sample(np.random.default_rng(seed)), X, Y, calibration=X)
    assert all(np.array_equal(a, b) for a, b in zip(before, state(fitted), strict=True))


def test_a_block_of_the_users_own_takes_part() -> None:
    @register_block("supernet_test_block")
    def build(units: int) -> Any:
        import keras

        return keras.Sequential(
            [keras.layers.Conv2D(units, 1), keras.layers.BatchNormalization(momentum=0.9)]
        )

    space = SearchSpace(
        "own",
        input_shape=(6, 6, 2),
        classes=3,
        body=[
            Choice("op", {"own": layer("supernet_test_block", units=3), "conv": conv(3)}),
            batch_normalization(),
            global_average_pooling(),
        ],
    )
    supernet = Supernet(space, policy="softmax", seed=0)
    supernet.fit(X, Y, **QUICK)
    genotype = space.genotype({"op": "own"})
    loss, _ = supernet.evaluate(genotype, X, Y, calibration=X)
    logits = array(supernet.extract(genotype, calibration=X)(X, training=False)).astype(np.float64)
    losses = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(Y)), Y]
    assert losses.mean() == pytest.approx(loss, abs=1e-5)


# --- bad input --------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_names_the_epoch_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "supernet.npz"
    supernet = Supernet(CHOICE, policy="softmax", seed=0)
    supernet.prepare(X, Y, epochs=3, batch_size=6, checkpoint=file)
    supernet.advance()
    kept = file.read_bytes()
    supernet._prepared().training.x[:] = np.nan
    with pytest.raises(SupernetError, match=r"nan in epoch 2.*learning_rate.*supernet.npz"):
        supernet.advance()
    assert file.read_bytes() == kept
    with pytest.raises(SupernetError, match="prepare"):
        supernet.advance()


@pytest.mark.parametrize("share", [0.0, 1.0, 0.01, 0.99, -1])
def test_an_empty_split_is_refused(share: float) -> None:
    with pytest.raises(SupernetError, match="validation_split"):
        Supernet(CHOICE, policy="softmax").prepare(X, Y, validation_split=share)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": X[:, :5]}, r"\(examples, 6, 6, 2\)"),
        ({"x": X[:0], "y": Y[:0]}, "at least one"),
        ({"y": Y[:3]}, "24 examples"),
        ({"y": Y + 1}, "from 0 to 2"),
        ({"y": Y * 1.0}, "whole numbers"),
        ({"validation_data": (X[:0], Y[:0])}, "validation_data"),
    ],
)
def test_examples_that_do_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Supernet(CHOICE, policy="softmax").prepare(**{"x": X, "y": Y, **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"batch_size": 0},
        {"learning_rate": -1.0},
        {"clip_norm": 0},
        {"momentum": -0.1},
        {"alpha_start": -1},
        {"alpha_every": 0},
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(SupernetError, match=next(iter(arguments))):
        Supernet(CHOICE, policy="softmax").prepare(X, Y, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"order": 2}, {"regularization": ()}, {"cost": (None, None)}, {"eigenvalue_every": 1}],
)
@pytest.mark.parametrize("policy", ["even", "uniform"])
def test_what_is_about_alphas_needs_some(policy: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(SupernetError, match=rf"{next(iter(arguments))} is about alphas"):
        Supernet(CHOICE, policy=policy, **arguments)


def test_by_default_nothing_is_learned_and_the_architecture_is_selected(tmp_path: Path) -> None:
    file = tmp_path / "supernet.npz"
    supernet = Supernet(CHOICE, seed=0)
    supernet.prepare(X, Y, epochs=2, checkpoint=file)
    assert supernet.advance()
    with pytest.raises(SupernetError, match="select_by_perturbation"):
        supernet.genotype()
    assert not supernet.advance()
    assert not supernet.alphas
    assert CHOICE.feasible(supernet.genotype())
    again = Supernet(CHOICE, seed=1)
    again.restore(file.read_bytes())
    assert again.genotype() == supernet.genotype()


def test_a_selection_that_was_interrupted_is_made_up_for(tmp_path: Path) -> None:
    class Interrupted(Supernet):
        def select_by_perturbation(self, **_options: Any) -> Genotype:
            raise KeyboardInterrupt

    file = tmp_path / "supernet.npz"
    with pytest.raises(KeyboardInterrupt):
        Interrupted(CHOICE, seed=0).fit(X, Y, epochs=1, checkpoint=file, progress=False)
    supernet = Supernet(CHOICE, seed=0)
    supernet.fit(X, Y, epochs=1, checkpoint=file, progress=False)
    assert len(supernet.history) == 1
    assert CHOICE.feasible(supernet.genotype())


@pytest.mark.parametrize(
    "arguments",
    [
        {"policy": "nothing"},
        {"order": 3},
        {"auxiliary_skip": "steep"},
        {"exclude": ["skips"]},
        {"space": "digits"},
    ],
)
def test_arguments_without_meaning_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(SupernetError, match=next(iter(arguments))):
        Supernet(**{"space": CHOICE, **arguments})


def test_what_is_not_prepared_says_so() -> None:
    supernet = Supernet(CHOICE, policy="softmax", seed=0)
    for call in (supernet.advance, supernet.checkpoint, supernet.select_by_perturbation):
        with pytest.raises(SupernetError, match="prepare"):
            call()
    with pytest.raises(SupernetError, match="calibration"):
        supernet.extract(CHOICE.genotype({"edge": "conv"}))
    with pytest.raises(GenotypeError):
        supernet.evaluate(SPACE.sample(np.random.default_rng(0)), X, Y)


def test_decisions_that_cannot_be_shared_are_named() -> None:
    space = SearchSpace(
        "continuous",
        input_shape=(6, 6, 2),
        classes=3,
        body=[conv(3), layer("dropout", rate=Float("rate", 0.0, 0.5)), global_average_pooling()],
    )
    with pytest.raises(SupernetError, match="'rate' is continuous"):
        Supernet(space, policy="softmax")
