"""Each kind of bad input is one line that says what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keras_nas.data import keras_sets, load
from keras_nas.isolation import JobRaisedError
from optuna_nas.errors import DataError


def refuse(pattern: str, data: object, **options: Any) -> str:
    """Loading fails with one line that matches."""
    with pytest.raises(DataError) as caught:
        load(data, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert re.search(pattern, message), message
    return message


Save = Callable[..., Path]


@pytest.fixture
def npz(tmp_path: Path) -> Save:
    def save(**arrays: Any) -> Path:
        good = {"x_train": np.random.default_rng(0).random((30, 4)), "y_train": np.arange(30) % 3}
        path = tmp_path / "data.npz"
        np.savez(path, **{k: v for k, v in {**good, **arrays}.items() if v is not None})
        return path

    return save


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str], Path]:
    def save(text: str) -> Path:
        path = tmp_path / "data.csv"
        path.write_text(text)
        return path

    return save


def table(rows: int = 12, **columns: Callable[[int], object]) -> str:
    columns = {"a": float, "y": lambda i: i % 2, **columns}
    lines = [",".join(columns)]
    lines += [",".join(str(make(i)) for make in columns.values()) for i in range(rows)]
    return "\n".join(lines) + "\n"


# What is named


def test_unknown_name_suggests_the_nearest() -> None:
    refuse(r"no data named 'digit' .*did you mean digits\?.*known names: digits, wine", "digit")


def test_missing_file() -> None:
    refuse("nowhere.npz does not exist; check the path", "nowhere.npz")


def test_unknown_kind(tmp_path: Path) -> None:
    (tmp_path / "data.parquet").write_bytes(b"PAR1")
    refuse("no known kind; expected a .npz or .csv file or a folder", tmp_path / "data.parquet")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(npz: Save) -> None:
    path = npz()
    path.chmod(0)
    refuse("permission denied", path)


def test_target_without_table() -> None:
    refuse("target names a column of a .csv file", "digits", target="y")


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, None, True])
def test_seed(seed: Any) -> None:
    refuse("seed must be an integer", "iris", seed=seed)


@pytest.mark.parametrize(
    ("validation", "test"),
    [(0, 0.2), (1, 0.2), (0.5, 0.5), (0.2, -0.1), (0.2, 0), (float("nan"), 0.2)],
)
def test_shares(validation: float, test: float) -> None:
    refuse("must", "iris", validation=validation, test=test)


# .npz


def test_empty_npz(tmp_path: Path) -> None:
    (tmp_path / "a.npz").touch()
    refuse("is empty", tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"not an archive at all", b"PK\x03\x04 cut short"])
def test_unreadable_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    refuse("not a readable .npz file", tmp_path / "a.npz")


def test_truncated_npz(npz: Save) -> None:
    path = npz(x_train=np.zeros((30, 400)))
    path.write_bytes(path.read_bytes()[:9000])
    refuse("not a readable .npz file", path)


def test_damaged_npz(npz: Save) -> None:
    path = npz(x_train=np.zeros((30, 400)))
    content = bytearray(path.read_bytes())
    content[5000:5010] = b"0123456789"
    path.write_bytes(content)
    refuse("not a readable .npz file", path)


def test_single_array(tmp_path: Path) -> None:
    with open(tmp_path / "a.npz", "wb") as file:
        np.save(file, np.zeros(3))
    refuse("holds one array; use np.savez", tmp_path / "a.npz")


def test_missing_arrays(npz: Save) -> None:
    refuse("no array 'y_train'.* has x_train", npz(y_train=None))
    refuse("no array 'x_train'.* has images", npz(y_train=None, x_train=None, images=np.zeros(3)))
    refuse("only one of x_test and y_test; add y_test", npz(x_test=np.zeros((3, 4))))


def test_object_arrays_are_never_unpickled(npz: Save) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (os.mkdir, ("pwned",))

    refuse("Python objects, which are not loaded", npz(x_train=np.array([Evil()] * 30)))
    assert not os.path.exists("pwned")


def test_label_problems(npz: Save) -> None:
    y = np.arange(30) % 3
    refuse(r"labels out of range: 3 classes must be 0..2, found 1..3; renumber", npz(y_train=y + 1))
    refuse(r"out of range: 3 classes must be 0..2, found -1..1", npz(y_train=y - 1))
    refuse(r"out of range: 3 classes must be 0..2, found 0..200", npz(y_train=y * 100))
    refuse("not integers, such as 0.5; regression is not supported yet", npz(y_train=y + 0.5))
    nan = y.astype(float)
    nan[7] = np.nan
    refuse("NaN or infinite labels, the first at row 7", npz(y_train=nan))
    refuse("one class only", npz(y_train=np.zeros(30, int)))
    refuse("one-hot labels use y.argmax", npz(y_train=np.eye(3)[y]))
    refuse("must hold integers 0..classes-1", npz(y_train=y.astype(str)))
    refuse("has 29 labels for 30 rows", npz(y_train=y[:-1]))
    refuse("has shape", npz(y_train=np.array(3)))
    refuse("3 classes and class_names has 2", npz(class_names=["a", "b"]))
    rare = np.array([0] * 14 + [1] * 14 + [2] * 2)
    refuse("1 of 3 classes have fewer than 3 rows, such as '2' with 2", npz(y_train=rare))
    refuse("identifier or a continuous target", npz(y_train=np.arange(30)))


def test_feature_problems(npz: Save) -> None:
    x = np.zeros((30, 4))
    x[11, 2] = np.nan
    x[12, 2] = np.inf
    refuse(
        r"x_train has 2 values that are NaN or infinite, the first \(nan\) at row 11, position 2",
        npz(x_train=x),
    )
    x[11, 2] = 0
    refuse(r"the first \(inf\) at row 12", npz(x_train=x))
    x[12, 2] = 1e300
    refuse("beyond float32", npz(x_train=x))
    refuse(r"has shape \(30,\); expected", npz(x_train=np.zeros(30)))
    refuse(r"has shape", npz(x_train=np.zeros((30, 2, 2, 2, 2))))
    refuse(r"has shape \(30, 0\)", npz(x_train=np.zeros((30, 0))))
    refuse("is empty: it has no rows", npz(x_train=np.zeros((0, 4)), y_train=np.zeros(0, int)))
    refuse("must hold numbers, not <U", npz(x_train=np.full((30, 4), "a")))
    refuse("must hold numbers, not complex", npz(x_train=np.zeros((30, 4), complex)))
    refuse("channels-first; .*transpose", npz(x_train=np.zeros((30, 3, 8, 8))))


def test_test_part_problems(npz: Save) -> None:
    x, y = np.zeros((6, 4)), np.arange(6) % 3
    refuse("x_test has examples of shape", npz(x_test=np.zeros((6, 5)), y_test=y))
    refuse("y_test has labels that y_train does not have: 3", npz(x_test=x, y_test=y + 1))
    refuse("y_test has 5 labels for 6 rows", npz(x_test=x, y_test=y[:-1]))
    x[2, 1] = np.nan
    refuse("x_test has 1 values that are NaN", npz(x_test=x, y_test=y))


def test_too_few_rows_for_the_classes(npz: Save) -> None:
    x, y = np.zeros((9, 2)), np.repeat(np.arange(3), 3)
    refuse("9 rows are too few for 3 classes: the test part", npz(x_train=x, y_train=y), test=0.1)


# .csv


def test_empty_csv(csv: Callable[[str], Path]) -> None:
    refuse("is empty", csv(""), target="y")
    refuse("a header and no rows", csv("a,y\n"), target="y")


def test_unreadable_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,y\n\xff\xfe\xfa,1\n")
    refuse("not a readable CSV file", tmp_path / "a.csv", target="y")
    (tmp_path / "b.csv").write_text('a,y\n1,2\n1,2,3,4\n"')
    refuse("not a readable CSV file", tmp_path / "b.csv", target="y")
    (tmp_path / "c.csv.gz").write_bytes(b"not gzip")
    refuse("not a readable CSV file", tmp_path / "c.csv.gz", target="y")


def test_missing_target_lists_the_columns(csv: Callable[[str], Path]) -> None:
    refuse("needs a target column, one of: a, y", csv(table()))
    refuse("no column 'label'; it has: a, y", csv(table()), target="label")
    refuse("no column besides the target", csv("y\n" + "0\n1\n" * 9), target="y")


def test_target_problems(csv: Callable[[str], Path]) -> None:
    def refuse_y(pattern: str, make: Callable[[int], object], rows: int = 12) -> None:
        refuse(pattern, csv(table(rows, y=make)), target="y")

    refuse_y("empty or NaN labels, the first at row 3", lambda i: "" if i == 3 else i % 2)
    refuse_y("infinite label at row 3", lambda i: "inf" if i == 3 else i % 2)
    refuse_y(r"continuous \(such as 0.5\); regression is not supported yet", lambda i: i / 2)
    refuse_y("one class only", lambda _: "yes")
    refuse_y("fewer than 3 rows, such as 'b' with 1", lambda i: "b" if i == 5 else "ac"[i % 2])
    refuse_y("identifier or a continuous target", lambda i: 100 + i)


def test_column_problems(csv: Callable[[str], Path]) -> None:
    def refuse_a(pattern: str, make: Callable[[int], object], rows: int = 12) -> None:
        refuse(pattern, csv(table(rows, a=make)), target="y")

    refuse_a(
        "column 'a' has 1 missing or NaN values, the first at row 4", lambda i: "" if i == 4 else i
    )
    refuse_a("column 'a' has an infinite value at row 4", lambda i: "-inf" if i == 4 else i)
    refuse_a("column 'a' has 180 different texts, such as 'n0'", lambda i: f"n{i}", 300)


# Images


def image(path: Path, size: tuple[int, int] = (4, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path)


def test_image_folder_problems(tmp_path: Path) -> None:
    refuse("no sub-folders; expected one for each class", tmp_path)
    (tmp_path / "a").mkdir()
    refuse("holds no images", tmp_path)
    for i in range(6):
        image(tmp_path / "a" / f"{i}.png")
    refuse("one class only", tmp_path)
    for i in range(6):
        image(tmp_path / "b" / f"{i}.png")
    image(tmp_path / "b" / "7.png", (5, 4))
    refuse(r"images differ in size: \S*0.png is 4x4 and \S*7.png is 5x4; resize", tmp_path)
    (tmp_path / "b" / "7.png").write_bytes(b"not an image")
    refuse("7.png is not a readable image: .*repair or remove it", tmp_path)


# Downloads


def test_failing_download_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise JobRaisedError("Exception: URL fetch failure on https://example.org: timed out")

    monkeypatch.setattr(keras_sets.Worker, "run", fail)
    refuse("mnist could not be downloaded .*timed out.*check the connection, or save it", "mnist")


def test_hints_are_apt(tmp_path: Path, csv: Callable[[str], Path], npz: Save) -> None:
    refuse("data is empty", "")
    refuse("separated by commas", csv("a;y\n1;0\n2;1\n"), target="y")
    refuse("with 1; add rows", csv("a,y\n1,u\n2,v\n"), target="y")
    refuse("np.unique", npz(y_train=np.array(["u", "v"] * 15)))
    (tmp_path / "wide.csv").write_text("a,y\n1,2\n", encoding="utf-16")
    refuse("UTF-8", tmp_path / "wide.csv", target="y")
    (tmp_path / "no.npz").write_bytes(b"hello" * 100)
    assert "allow_pickle" not in refuse("np.savez", tmp_path / "no.npz")
