from __future__ import annotations

import math

import pytest

from keras_nas.metrics import METRICS, MetricError, metrics_named


def test_directions() -> None:
    assert [m.direction for m in metrics_named(["accuracy", "latency_ms"])] == [
        "maximize",
        "minimize",
    ]
    assert [name for name, metric in METRICS.items() if metric.maximize] == ["accuracy"]


def test_one_name() -> None:
    assert metrics_named("loss")[0].name == "loss"


def test_guessing() -> None:
    accuracy, error, loss = metrics_named(["accuracy", "error", "loss"])
    assert accuracy.untrained(10) == pytest.approx(0.1)
    assert error.untrained(10) == pytest.approx(0.9)
    assert loss.untrained(10) == pytest.approx(math.log(10))


def test_error_is_read_from_the_accuracy() -> None:
    (error,) = metrics_named("error")
    assert error.curve == "val_accuracy"
    assert error.of_curve(0.75) == 0.25


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["acuracy"], r"unknown objective 'acuracy' \(did you mean accuracy\?\); choose among"),
        (["accuracy", "accuracy"], "twice"),
        ([], "at least one"),
    ],
)
def test_bad_names(names: list[str], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        metrics_named(names)
