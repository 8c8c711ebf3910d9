from __future__ import annotations

import json

import numpy as np
import pytest

from keras_nas.supernet.collapse import Health, check_health
from keras_nas.supernet.discretisation import value_logits
from optuna_nas import SearchSpace
from optuna_nas.space import Choice, Repeat, conv, global_average_pooling, identity
from optuna_nas.spaces import nas_bench_201
from optuna_nas.supergraph import SuperGraph

NB201 = SuperGraph.of(nas_bench_201(input_shape=(8, 8, 3), channels=2, cells=1))
NAMES = list(NB201.decisions)
VALUES = NB201.decisions[NAMES[0]].values


def health(*operations: str, eigenvalues: dict[int, float] | None = None) -> Health:
    probabilities = {}
    for name, operation in zip(NAMES, operations, strict=True):
        probabilities[name] = np.full(5, 0.1)
        probabilities[name][VALUES.index(operation)] = 0.6
    return check_health(NB201, value_logits(NB201, probabilities), probabilities, eigenvalues)


def test_a_sound_search() -> None:
    found = health(*["nor_conv_3x3"] * 3, "skip_connect", "none", "avg_pool_3x3")

    assert not found.collapsed
    assert (found.skips, found.nones, found.pools) == pytest.approx((1 / 6, 1 / 6, 1 / 6))
    # H(0.6, 0.1 x 4) / log 5
    assert found.entropy == pytest.approx(-(0.6 * np.log(0.6) + 0.4 * np.log(0.1)) / np.log(5))
    assert found.eigenvalue is None
    assert "eigenvalue" not in found.as_dict()


def test_the_darts_collapse_to_skips_is_told() -> None:
    found = health(*["skip_connect"] * 6)

    assert found.collapsed
    assert found.skips == 1
    assert "100% of the choices are skips" in found.reason
    assert "no operation is left" in found.reason


def test_half_skips_are_not_yet_a_collapse() -> None:
    assert not health(*["skip_connect"] * 3, *["nor_conv_1x1"] * 3).collapsed
    assert health(*["skip_connect"] * 4, *["nor_conv_1x1"] * 2).collapsed


def test_nothing_but_pools_and_nones() -> None:
    assert "67% of the choices are none" in health(*["none"] * 4, *["nor_conv_1x1"] * 2).reason
    assert "no operation is left" in health(*["none"] * 3, *["avg_pool_3x3"] * 3).reason


def test_hardly_anything_but_pools_and_skips() -> None:
    pools = ["avg_pool_3x3"] * 3
    found = health(*pools, *["skip_connect"] * 2, "nor_conv_1x1")
    assert found.reason == "83% of the choices are skips, none or pools"
    assert not health(*pools, "skip_connect", *["nor_conv_1x1"] * 2).collapsed


def test_a_growing_eigenvalue_is_a_collapse() -> None:
    growing = {epoch: 0.1 * 1.2**epoch for epoch in range(15)}
    found = health(*["nor_conv_3x3"] * 6, eigenvalues=growing)

    assert found.reason == (
        "the dominant eigenvalue of the validation loss has grown by more than 30% since epoch 10"
    )
    assert found.eigenvalue == growing[14]
    flat = dict.fromkeys(range(15), 0.1)
    assert not health(*["nor_conv_3x3"] * 6, eigenvalues=flat).collapsed


def test_it_can_be_logged() -> None:
    found = health(*["skip_connect"] * 6, eigenvalues={0: 0.5}).as_dict()

    assert json.loads(json.dumps(found)) == found
    assert found["collapsed"] is True
    assert found["share_of_skips"] == 1.0
    assert found["eigenvalue"] == 0.5


def test_too_few_choices_say_nothing_and_depth_is_no_skip() -> None:
    space = SearchSpace(
        "few",
        input_shape=(4, 4, 2),
        classes=2,
        body=[
            Repeat("stage", 1, 3, body=conv(2, 1)),
            Choice("op", {"conv": conv(2, 3), "skip": identity()}),
            global_average_pooling(),
        ],
    )
    supergraph = SuperGraph.of(space)
    probabilities = {n: d.hot(d.values[-1]) for n, d in supergraph.decisions.items()}

    found = check_health(supergraph, value_logits(supergraph, probabilities), probabilities)

    assert found.skips == 1
    assert found.entropy == 0
    assert not found.collapsed


@pytest.mark.parametrize("scale", [0.0, 1e-3])
def test_alphas_that_have_learned_nothing_raise_no_alarm(scale: float) -> None:
    rng = np.random.default_rng(0)
    logits = {name: scale * rng.standard_normal(5) for name in NAMES}
    for name in NAMES[:5]:
        logits[name][VALUES.index("skip_connect")] = scale * 3
    chances = {name: np.exp(own) / np.exp(own).sum() for name, own in logits.items()}

    found = check_health(NB201, logits, chances)

    assert not found.collapsed
    assert (found.skips, found.nones, found.pools) == (0, 0, 0)
    wider = {name: 20 * own for name, own in logits.items()}
    assert check_health(NB201, wider, chances).collapsed is (scale > 0)
