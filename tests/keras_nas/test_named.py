from __future__ import annotations

import importlib.util
from pathlib import Path

import optuna
import pytest

from keras_nas.data import Dataset, load
from keras_nas.named import (
    KINDS,
    SAMPLERS,
    SPACES,
    ChoiceError,
    default_space,
    make_pruner,
    make_sampler,
    make_space,
)
from optuna_nas import spaces
from optuna_nas.errors import NASError, SpaceError
from optuna_nas.pruners import LearningCurvePruner
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.spaces import chain_cnn, nas_bench_201, tabular_mlp


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return load("iris")


def test_default_space_is_by_the_shape(digits: Dataset, iris: Dataset) -> None:
    assert default_space(digits) == "chain_cnn"
    assert default_space(iris) == "tabular_mlp"


def test_ready_spaces(digits: Dataset, iris: Dataset) -> None:
    assert make_space("chain_cnn", digits) == chain_cnn()
    assert make_space("tabular_mlp", iris) == tabular_mlp(input_shape=(4,), classes=3)
    small = nas_bench_201(input_shape=(8, 8, 1), classes=10, cells=1)
    assert make_space("nas_bench_201", digits) == small


def test_every_ready_space_has_a_name() -> None:
    made = set(spaces.__all__) - {"training_decisions"}
    assert made == set(SPACES) == {name for names in KINDS.values() for name in names}


def test_arguments_of_ready_spaces(digits: Dataset) -> None:
    space = make_space("chain_cnn(max_blocks=2, widths=(4, 8))", digits)
    assert space == chain_cnn(max_blocks=2, widths=(4, 8))
    three = make_space("nas_bench_201(cells=3)", digits)
    assert three == nas_bench_201(input_shape=(8, 8, 1), classes=10, cells=3)


def test_json_file(digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / "space.json").write_text(chain_cnn().to_json())
    assert make_space(str(tmp_path / "space.json"), digits) == chain_cnn()


def test_python_file(digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    (tmp_path / "spaces_of_mine.py").write_text(
        "from optuna_nas.spaces import chain_cnn\n"
        "fixed = chain_cnn(max_blocks=1)\n"
        "def make(input_shape, classes):\n"
        "    return chain_cnn(input_shape=input_shape, classes=classes, max_blocks=2)\n"
        "def wrong(input_shape, classes):\n"
        "    return 5\n"
        "def broken(input_shape, classes):\n"
        "    return input_shape['x']\n"
    )
    path = str(tmp_path / "spaces_of_mine.py")
    assert make_space(f"{path}:fixed", digits) == chain_cnn(max_blocks=1)
    assert make_space(f"{path}:make", digits) == chain_cnn(max_blocks=2)
    assert make_space("spaces_of_mine:make", digits) == chain_cnn(max_blocks=2)
    (tmp_path / "random.py").touch()
    with pytest.raises(ChoiceError, match="another module named 'random'; rename the file"):
        make_space(f"{tmp_path / 'random.py'}:space", digits)
    with pytest.raises(ChoiceError, match="returned int, not a SearchSpace"):
        make_space(f"{path}:wrong", digits)
    with pytest.raises(ChoiceError, match="can't be made: TypeError"):
        make_space(f"{path}:broken", digits)
    with pytest.raises(ChoiceError, match="no space or function named 'missing'"):
        make_space(f"{path}:missing", digits)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chain_cn", r"unknown space 'chain_cn' \(did you mean chain_cnn\?\); known are"),
        ("nowhere.json", "nowhere.json can't be read"),
        ("nowhere.py:space", "nowhere.py does not exist"),
        ("no_such_module_of_mine:space", "can't be imported: ModuleNotFoundError"),
        ("chain_cnn(3)", "can't be read; write it like"),
        ("chain_cnn(max_blocks=__import__('os'))", "can't be read; write it like"),
        ("chain_cnn(width=3)", "can't be made: TypeError"),
        ("tabular_mlp", "tabular_mlp is for tables, but .*use --space chain_cnn"),
    ],
)
def test_bad_spaces(digits: Dataset, text: str, message: str) -> None:
    with pytest.raises(NASError, match=message) as caught:
        make_space(text, digits)
    assert "\n" not in str(caught.value)


def test_a_space_for_other_data(digits: Dataset, iris: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"chain_cnn is for images, .*use --space tabular_mlp"):
        make_space("chain_cnn", iris)
    path = tmp_path / "space.json"
    path.write_text(chain_cnn(classes=7).to_json())
    with pytest.raises(SpaceError, match="7 classes, but digits has"):
        make_space(str(path), digits)
    path.write_text("{not json")
    with pytest.raises(NASError, match=r"space.json"):
        make_space(str(path), digits)
    path.write_text('{"some": "thing else"}')
    with pytest.raises(NASError):
        make_space(str(path), digits)


def test_samplers() -> None:
    for name in SAMPLERS:
        if name == "gp" and importlib.util.find_spec("torch") is None:
            with pytest.raises(ChoiceError, match="needs PyTorch"):
                make_sampler(name, chain_cnn(), trials=10, seed=0, done=0)
            continue
        sampler = make_sampler(name, chain_cnn(), trials=10, seed=0, done=0)
        assert isinstance(sampler, optuna.samplers.BaseSampler)
        assert isinstance(sampler, RegularizedEvolutionSampler) == (name == "evolution")
    with pytest.raises(ChoiceError, match=r"unknown sampler 'evolutoin' \(did you mean evolution"):
        make_sampler("evolutoin", chain_cnn(), trials=10, seed=0, done=0)


def test_optunas_samplers_do_not_repeat_their_start_on_resuming() -> None:
    def first(done: int) -> float:
        study = optuna.create_study(
            sampler=make_sampler("random", chain_cnn(), trials=10, seed=0, done=done)
        )
        return study.ask().suggest_float("x", 0, 1)

    assert first(0) == first(0) != first(5)


def test_pruners() -> None:
    assert isinstance(make_pruner("none", epochs=3, objectives=2), optuna.pruners.NopPruner)
    assert isinstance(make_pruner("median", epochs=3, objectives=1), optuna.pruners.MedianPruner)
    hyperband = make_pruner("hyperband", epochs=9, objectives=1)
    assert isinstance(hyperband, optuna.pruners.HyperbandPruner)
    assert isinstance(make_pruner("learning-curve", epochs=9, objectives=2), LearningCurvePruner)
    with pytest.raises(ChoiceError, match="needs a single objective"):
        make_pruner("median", epochs=3, objectives=2)
    with pytest.raises(ChoiceError, match="unknown pruner 'mediun'"):
        make_pruner("mediun", epochs=3, objectives=1)
