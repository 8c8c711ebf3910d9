from __future__ import annotations

import pytest

from optuna_nas.errors import NASError
from optuna_nas.fidelity import Fidelity


def test_round_trip() -> None:
    fidelity = Fidelity(epochs=3, data_fraction=0.25)
    assert Fidelity.from_dict(fidelity.to_dict()) == fidelity


@pytest.mark.parametrize("epochs", [0, -1, 1.5, True, "3"])
def test_epochs_must_be_a_positive_integer(epochs: object) -> None:
    with pytest.raises(NASError, match="epochs must be"):
        Fidelity(epochs=epochs)  # type: ignore[arg-type]


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1, float("nan")])
def test_data_fraction_must_be_a_share(fraction: float) -> None:
    with pytest.raises(NASError, match="data_fraction must be"):
        Fidelity(epochs=1, data_fraction=fraction)


def test_rows() -> None:
    assert Fidelity(epochs=1).rows(1077) == 1077
    assert Fidelity(epochs=1, data_fraction=0.5).rows(11) == 6
    assert Fidelity(epochs=1, data_fraction=0.01).rows(100, at_least=10) == 10
