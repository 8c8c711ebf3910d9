"""Every kind of source, and that a search never meets the test rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from keras_nas.data import Dataset, load


def rows_of(x: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in np.ascontiguousarray(x)}


@pytest.fixture
def arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.normal(5, 3, (60, 4, 4, 3)).astype(np.float32),
        "y_train": np.arange(60) % 3,
        "x_test": rng.normal(5, 3, (15, 4, 4, 3)).astype(np.float32),
        "y_test": np.arange(15) % 3,
    }


def test_digits() -> None:
    data = load("digits")
    assert (data.name, data.input_shape, data.classes) == ("digits", (8, 8, 1), 10)
    assert data.class_names == tuple("0123456789")
    assert data.rows == {"train": 1077, "val": 360, "test": 360}
    for x, y in (
        (data.x_train, data.y_train),
        (data.x_val, data.y_val),
        (data.x_test, data.y_test),
    ):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert len(x) == len(y)
        shares = np.bincount(y) / len(y)
        assert np.abs(shares - 0.1).max() < 0.01
    assert data.x_train.max() == 16  # raw: preprocessing belongs to the model


@pytest.mark.parametrize(
    ("name", "features", "classes"), [("iris", 4, 3), ("wine", 13, 3), ("breast_cancer", 30, 2)]
)
def test_bundled_tables(name: str, features: int, classes: int) -> None:
    data = load(name)
    assert (data.input_shape, data.classes) == ((features,), classes)
    assert len(data.feature_names) == features


def test_split_depends_on_the_seed_alone() -> None:
    one, same, other = load("wine"), load("wine"), load("wine", seed=1)
    assert one.fingerprint == same.fingerprint != other.fingerprint
    np.testing.assert_array_equal(one.x_test, same.x_test)
    assert load("wine", seed=0).fingerprint == one.fingerprint


def test_parts_share_no_row_and_lose_none(arrays: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "toy.npz"
    np.savez(path, x_train=arrays["x_train"], y_train=arrays["y_train"])
    data = load(path)
    parts = [rows_of(x) for x in (data.x_train, data.x_val, data.x_test)]
    assert [len(part) for part in parts] == [36, 12, 12]
    assert set.union(*parts) == rows_of(arrays["x_train"])
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_a_test_part_that_came_along_is_kept_apart(arrays: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "toy.npz"
    np.savez(path, **arrays)
    data = load(path)
    np.testing.assert_array_equal(data.x_test, arrays["x_test"])
    np.testing.assert_array_equal(data.y_test, arrays["y_test"])
    assert rows_of(data.x_train) | rows_of(data.x_val) == rows_of(arrays["x_train"])
    assert data.rows == {"train": 48, "val": 12, "test": 15}
    assert data.name == "toy"


def test_preprocessing_knows_the_training_rows_only(arrays: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "toy.npz"
    np.savez(path, **arrays)
    before = load(path)
    x = (before.x_train - np.array(before.preprocessing.mean)) * np.array(
        before.preprocessing.scale
    )
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=(0, 1, 2)), 1, atol=1e-5)
    held_out = {row.tobytes() for row in before.x_val}
    for row in arrays["x_train"]:
        if row.tobytes() in held_out:
            row *= 1000
    np.savez(path, **{**arrays, "x_test": arrays["x_test"] * 1000})
    assert load(path).preprocessing == before.preprocessing


def test_constant_features_are_harmless(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(30, 3))
    x[:, 1] = 7
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(30) % 2)
    scale = load(tmp_path / "a.npz").preprocessing.scale
    assert np.isfinite(scale).all()
    assert np.asarray(scale)[1] == 1


@pytest.mark.parametrize(
    ("shape", "expected"), [((4,), (4,)), ((6, 5), (6, 5, 1)), ((6, 5, 1), (6, 5, 1))]
)
def test_shapes_and_types(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    x = np.random.default_rng(0).integers(0, 255, (30, *shape), dtype=np.uint8)
    y = (np.arange(30) % 2).astype(float)[:, None]  # whole numbers as floats, in a column
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, class_names=["cat", "dog"])
    data = load(tmp_path / "a.npz")
    assert data.input_shape == expected
    assert data.class_names == ("cat", "dog")


def test_table_with_texts(tmp_path: Path) -> None:
    rows = 60
    frame = pd.DataFrame(
        {
            "size": np.arange(rows) * 1.5,
            "colour": [["red", "green", "blue"][i % 3] for i in range(rows)],
            "old": [i % 2 == 0 for i in range(rows)],
            "kind": [["b", "a"][i % 2] for i in range(rows)],
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = load(tmp_path / "t.csv", target="kind")
    assert data.feature_names == ("size", "colour=blue", "colour=green", "colour=red", "old")
    assert data.class_names == ("a", "b")
    assert data.name == "t"
    x = np.concatenate([data.x_train, data.x_val, data.x_test])
    y = np.concatenate([data.y_train, data.y_val, data.y_test])
    order = np.argsort(x[:, 0])
    np.testing.assert_array_equal(y[order], [1, 0] * 30)
    np.testing.assert_array_equal(x[order, 4], [1, 0] * 30)
    np.testing.assert_array_equal(x[order, 1:4].argmax(axis=1), [2, 1, 0] * 20)


def test_table_with_numbers_as_classes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(40.0), "grade": [(3, 10)[i % 2] for i in range(40)]})
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    data = load(tmp_path / "t.csv.gz", target="grade")
    assert data.class_names == ("3", "10")  # in the order of numbers, not of texts


def test_a_text_not_seen_in_training_is_in_no_category(tmp_path: Path) -> None:
    plain = load("iris")  # find which rows are test rows, for these labels and this seed
    x = np.concatenate([plain.x_train, plain.x_val, plain.x_test])
    frame = pd.DataFrame({"x": np.arange(150.0), "colour": "red", "y": np.arange(150) % 3})
    frame.to_csv(tmp_path / "t.csv", index=False)
    test_rows = load(tmp_path / "t.csv", target="y").x_test[:, 0].astype(int)
    frame.loc[test_rows[0], "colour"] = "violet"
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = load(tmp_path / "t.csv", target="y")
    assert data.feature_names == ("x", "colour=red")
    assert data.x_test[0, 1] == 0
    assert (data.x_test[1:, 1] == 1).all()
    assert len(x) == 150


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("P", 3)])
def test_folder_of_images(tmp_path: Path, mode: str, channels: int) -> None:
    rng = np.random.default_rng(0)
    for name in ("zebra", "ape"):
        (tmp_path / "zoo" / name).mkdir(parents=True)
        for i in range(10):
            grey = Image.fromarray(rng.integers(0, 255, (6, 5), dtype=np.uint8))
            grey.convert(mode).save(tmp_path / "zoo" / name / f"{i}.png")
        (tmp_path / "zoo" / name / "notes.txt").write_text("not an image")
    data = load(tmp_path / "zoo")
    assert data.class_names == ("ape", "zebra")
    assert data.name == "zoo"
    assert data.input_shape == (6, 5, channels)
    assert sum(data.rows.values()) == 20


def test_saved_data_are_mapped_and_equal(tmp_path: Path) -> None:
    data = load("iris")
    data.save(tmp_path)
    again = Dataset.open(tmp_path)
    assert again.fingerprint == data.fingerprint
    assert again.preprocessing == data.preprocessing
    assert again.class_names == data.class_names
    assert again.feature_names == data.feature_names
    assert isinstance(again.x_train, np.memmap)


def test_describe_is_plain() -> None:
    import json

    about = json.loads(json.dumps(load("iris").describe()))
    assert about["rows"] == {"train": 90, "val": 30, "test": 30}


def test_small_and_large_units_are_no_constants(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2)) * [1e-12, 1e30]
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(60) % 2)
    data = load(tmp_path / "a.npz")
    np.testing.assert_allclose(data.preprocessing.apply(data.x_train).std(axis=0), 1, rtol=1e-4)


def test_images_of_16_bits_keep_their_values(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(5):
            pixels = np.full((4, 4), 257 * 10 * number, dtype=np.uint16)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    data = load(tmp_path)
    assert data.input_shape == (4, 4, 1)
    assert set(np.unique(data.x_train)) <= {0.0, 10.0, 20.0, 30.0, 40.0}
