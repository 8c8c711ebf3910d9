"""What is recorded of models that are trained."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("sklearn")

from learning_curves import record as script

EPOCHS = 4


def data() -> script.Data:
    return script.Data.bundled("breast_cancer")


def test_nothing_is_known_from_where_a_run_diverged():
    def training(
        data: script.Data, rng: np.random.Generator, epochs: int
    ) -> Iterator[script.Scores]:
        for epoch in range(epochs):
            if epoch == 2:
                raise ValueError("weights that are not finite")
            yield {"valid_loss": float(epoch)}

    (name, table), *others = script.trained(data(), training, runs=3, epochs=EPOCHS).items()
    assert (name, others) == ("valid_loss", [])
    assert table[:, :2].tolist() == [[0.0, 1.0]] * 3
    assert np.isnan(table[:, 2:]).all()


@pytest.mark.parametrize("training", [script.linear, script.classifying_network])
def test_the_same_curves_are_recorded_again(training: script.Training):
    first, second = (script.trained(data(), training, runs=2, epochs=EPOCHS) for _ in range(2))
    assert set(first) == {"val_accuracy", "valid_loss"}
    for metric, table in first.items():
        assert table.shape == (2, EPOCHS)
        np.testing.assert_array_equal(table, second[metric])
    assert np.all((first["val_accuracy"] >= 0.0) & (first["val_accuracy"] <= 1.0))


def test_halves_have_no_example_in_common():
    halves = data()
    assert len(halves.x_train) + len(halves.x_valid) == 569
    assert not {x.tobytes() for x in halves.x_train} & {x.tobytes() for x in halves.x_valid}
