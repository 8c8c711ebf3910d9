"""Texts and sequences: a vocabulary of the training rows, and every way they may come in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_nas.data import Dataset, Source, Vocabulary, load, make_dataset
from keras_nas.data.text import words_of
from keras_nas.named import default_space, make_space
from optuna_nas.errors import DataError, SpaceError

ADJECTIVES = ["fine", "weak", "long", "short", "loud", "calm", "dark", "bright"]


def sentence(i: int) -> str:
    """One of 512 different ones."""
    first, second, third = (ADJECTIVES[(i // 8**place) % 8] for place in range(3))
    return f"a {first}, {second} film -- {third}!"


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv.gz"
    rows = [{"label": "bad" if i % 3 else "good", "text": sentence(i)} for i in range(120)]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_words() -> None:
    assert words_of("It's a Film, isn’t it? -- No_1: 42!") == [
        "it's", "a", "film", ",", "isn’t", "it", "?", "-", "-", "no", "1", ":", "42", "!",
    ]  # fmt: skip
    assert words_of(" \n ") == []


def test_a_vocabulary_by_hand(tmp_path: Path) -> None:
    vocabulary = Vocabulary.fit(["b a b", "a b c", "b once"], most_words=4)
    assert vocabulary.words == ("", "[UNK]", "b", "a")
    assert vocabulary.length == 3
    encoded = vocabulary.encode(["a b", "c b a a", ""])
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[0, 3, 2], [1, 2, 3], [0, 0, 0]]
    vocabulary.save(tmp_path / "words.txt")
    assert (tmp_path / "words.txt").read_text() == "\n[UNK]\nb\na\n"
    assert Vocabulary.open(tmp_path / "words.txt", 3) == vocabulary


def test_words_of_one_text_are_kept_where_there_are_no_others() -> None:
    assert Vocabulary.fit(["one two"]).words == ("", "[UNK]", "one", "two")
    with pytest.raises(DataError, match="no words"):
        Vocabulary.fit(["", " "])


def test_a_vocabulary_has_place_for_padding_and_unknown_words() -> None:
    assert Vocabulary.fit(["one two one"], most_words=2).words == ("", "[UNK]")
    for arguments in ({"most_words": 1}, {"most_words": 2.5}, {"longest": 0}):
        (name,) = arguments
        with pytest.raises(DataError, match=f"{name} must be an integer of at least"):
            Vocabulary.fit(["one two"], **arguments)  # type: ignore[arg-type]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8), st.integers(1, 9))
def test_any_text_can_be_read(texts: list[str], longest: int) -> None:
    vocabulary = Vocabulary.fit([*texts, "a word"], longest=longest)
    encoded = vocabulary.encode(texts)
    assert encoded.shape == (len(texts), vocabulary.length)
    assert vocabulary.length <= longest
    for text, row in zip(texts, encoded, strict=True):
        expected = [w if w in vocabulary.words else "[UNK]" for w in words_of(text)]
        found = [vocabulary.words[int(number)] for number in row if number]
        assert found == expected[: vocabulary.length]
    assert not any("\n" in word for word in vocabulary.words)


def test_a_table_of_texts(reviews: Path, tmp_path: Path) -> None:
    data = load(reviews, target="label")
    assert (data.name, data.kind, data.class_names) == ("reviews", "texts", ("bad", "good"))
    assert data.input_shape == (9,)
    assert set(data.vocabulary) == {"", "[UNK]", "a", ",", "film", "-", "!", *ADJECTIVES}
    row = data.x_test[0].astype(int)
    words = " ".join(data.vocabulary[number] for number in row)
    assert words.startswith("a ")
    assert words.endswith(" !")
    assert data.preprocessing.is_neutral
    assert data.describe()["vocabulary"] == len(data.vocabulary)
    data.save(tmp_path / "data")
    again = Dataset.open(tmp_path / "data")
    assert (again.vocabulary, again.fingerprint) == (data.vocabulary, data.fingerprint)


def test_the_vocabulary_is_of_the_training_rows(tmp_path: Path) -> None:
    lines = [f"{i % 2},{sentence(i)} w{i} w{i}" for i in range(200)]
    path = tmp_path / "texts.csv"
    quoted = [line.replace(",", ',"', 1) + '"' for line in lines]
    path.write_text("\n".join(["y,text", *quoted]), encoding="utf-8")
    data = load(path, target="y", seed=3)
    own = {word for word in data.vocabulary if word.startswith("w") and word[1:].isdigit()}
    assert len(own) == data.rows["train"]
    unknown = data.vocabulary.index("[UNK]")
    assert (data.x_val[:, -2:] == unknown).all()
    assert (data.x_train[:, -2:] != unknown).all()


def test_names_are_no_texts(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text("\n".join(["y,name", *[f"{i % 2},n{i}" for i in range(300)]]))
    with pytest.raises(DataError, match="180 different texts"):
        load(path, target="y")


def test_a_folder_of_texts(tmp_path: Path) -> None:
    for i in range(40):
        path = tmp_path / "films" / ("bad" if i % 2 else "good") / f"{i}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sentence(i), encoding="utf-8")
    data = load(tmp_path / "films")
    assert (data.name, data.kind, data.class_names) == ("films", "texts", ("bad", "good"))
    assert data.rows == {"train": 24, "val": 8, "test": 8}
    (tmp_path / "films" / "good" / "0.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match=r"0\.txt is not text in UTF-8"):
        load(tmp_path / "films")
    (tmp_path / "films" / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no \.txt files"):
        load(tmp_path / "films")


def test_sequences(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(5, 3, (60, 7, 2))
    arrays: dict[str, Any] = {"x_train": x, "y_train": np.arange(60) % 3}
    np.savez(tmp_path / "series.npz", kind="sequences", **arrays)
    data = load(tmp_path / "series.npz")
    assert (data.kind, data.input_shape) == ("sequences", (7, 2))
    scaled = data.preprocessing.apply(data.x_train)
    np.testing.assert_allclose(scaled.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std((0, 1)), 1, atol=1e-5)
    np.savez(tmp_path / "images.npz", **arrays)
    assert load(tmp_path / "images.npz").input_shape == (7, 2, 1)
    np.savez(tmp_path / "other.npz", kind="videos", **arrays)
    with pytest.raises(DataError, match="kind must be 'sequences'"):
        load(tmp_path / "other.npz")


@pytest.mark.parametrize("value", [-1, 2.5, 4])
def test_numbers_of_words_are_checked(value: float) -> None:
    x = np.ones((30, 3))
    x[7, 1] = value
    source = Source("tokens", x, np.arange(30) % 2, vocabulary=("", "[UNK]", "a", "b"))
    with pytest.raises(DataError, match=rf"whole and from 0 to 3; got {value}"):
        make_dataset(source, seed=0, validation=0.2, test=0.2)


def test_every_kind_of_data_has_a_space(reviews: Path, tmp_path: Path) -> None:
    texts = load(reviews, target="label")
    assert default_space(texts) == "text_classifier"
    space = make_space("text_classifier(max_blocks=1)", texts)
    assert (space.input_shape, space.classes) == (texts.input_shape, 2)
    embedding = space.graph(space.sample(np.random.default_rng(0))).layers[1]
    assert embedding.attributes["input_dim"] == len(texts.vocabulary)
    np.savez(
        tmp_path / "series.npz", x_train=np.ones((30, 7, 2)), y_train=np.arange(30) % 2,
        kind="sequences",
    )  # fmt: skip
    series = load(tmp_path / "series.npz")
    assert make_space(default_space(series), series).name == "sequence_cnn_rnn"
    assert make_space("vision_transformer", load("digits")).input_shape == (8, 8, 1)
    with pytest.raises(SpaceError, match=r"is for images.* use --space text_classifier"):
        make_space("chain_cnn", texts)


def test_a_space_of_ones_own_may_ask_for_the_vocabulary(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own_text_space.py"
    path.write_text(
        "from optuna_nas.space import SearchSpace, embedding, global_max_pooling1d\n"
        "def make(input_shape, classes, vocabulary):\n"
        "    body = [embedding(vocabulary, 4), global_max_pooling1d()]\n"
        "    return SearchSpace('own', input_shape=input_shape, classes=classes, body=body)\n"
    )
    monkeypatch.setattr("sys.path", [str(tmp_path), *__import__("sys").path])
    texts = load(reviews, target="label")
    space = make_space(f"{path}:make", texts)
    graph = space.graph(space.sample(np.random.default_rng(0)))
    assert graph.layer_params("embedding") == 4 * len(texts.vocabulary)
