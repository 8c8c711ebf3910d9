"""Texts as sequences of word numbers: a vocabulary, a column of a table, folders of files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_nas.data.dataset import Features, Labels
from keras_nas.data.images import SUFFIXES
from keras_nas.data.source import Source
from keras_nas.data.splitting import split_rows
from optuna_nas.errors import DataError

PADDING, UNKNOWN = "", "[UNK]"
MOST_WORDS = 10_000
LONGEST = 256
ENOUGH = 0.95
"""Share of the training texts that a length holds whole."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\w\s]")


def words_of(text: str) -> list[str]:
    """Words and punctuation marks of a text, in lower case."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """Words by number.

    Args:
        words: Number 0 is padding, number 1 stands for all unknown words.
        length: How many words of a text are kept, from its first.
    """

    words: tuple[str, ...]
    length: int

    @classmethod
    def fit(
        cls, texts: Iterable[str], *, most_words: int = MOST_WORDS, longest: int = LONGEST
    ) -> Vocabulary:
        """The most frequent words of training texts, and the length that holds 95 % of them.

        A word that occurs only once is taken for an unknown one, so that there is something to
        learn about those.

        Args:
            texts: Texts, at least one with a word.
            most_words: Most words, with padding and unknown words; at least 2.
            longest: Greatest length.

        Raises:
            DataError: There is no word, or no place for padding and unknown words.
        """
        for argument, value, least in (("most_words", most_words, 2), ("longest", longest, 1)):
            if not isinstance(value, int) or value < least:
                raise DataError(
                    f"{argument} must be an integer of at least {least}, got {value!r}", value
                )
        split = [words_of(text) for text in texts]
        counts = Counter(word for text in split for word in text)
        if not counts:
            raise DataError("the texts have no words; expected letters, digits or punctuation")
        # Sorted by name too: equal counts would stand in the order in which they were met.
        frequent = sorted(counts, key=lambda word: (-counts[word], word))
        known = [word for word in frequent if counts[word] > 1] or frequent
        length = int(np.quantile([len(text) for text in split], ENOUGH, method="higher"))
        words = (PADDING, UNKNOWN, *known[: most_words - 2])
        return cls(words, min(max(length, 1), longest))

    def encode(self, texts: Sequence[str]) -> Features:
        """Numbers of the words of texts, shape (texts, length), padded in front.

        They are whole numbers in float32, as all features are: exact up to 2**24.
        """
        numbers = {word: number for number, word in enumerate(self.words)}
        encoded = np.zeros((len(texts), self.length), np.float32)
        for row, text in enumerate(texts):
            kept = [numbers.get(word, 1) for word in words_of(text)[: self.length]]
            if kept:
                encoded[row, -len(kept) :] = kept
        return encoded

    def save(self, path: Path) -> None:
        """Write one word a line: its number is the line's, from 0."""
        path.write_text("".join(f"{word}\n" for word in self.words), encoding="utf-8")

    @classmethod
    def open(cls, path: Path, length: int) -> Vocabulary:
        """Read what `save` wrote."""
        return cls(tuple(path.read_text(encoding="utf-8").split("\n")[:-1]), length)


def text_source(
    name: str,
    texts: Sequence[str],
    y: Labels,
    class_names: tuple[str, ...],
    *,
    seed: int,
    validation: float,
    test: float,
    where: str,
) -> Source:
    """Texts as numbers; the vocabulary is that of the training rows.

    Args:
        name: Short name of the data.
        texts: One a row.
        y: Labels 0..classes-1, shape (rows,).
        class_names: A name for each.
        seed: Seed of the split, which decides what the training rows are.
        validation: Share of the rows for validation.
        test: Share of the rows for the test.
        where: How the user knows the texts, for messages.
    """
    train = split_rows(y, seed=seed, validation=validation, test=test).train
    vocabulary = Vocabulary.fit(texts[row] for row in train)
    return Source(
        name=name,
        x=vocabulary.encode(texts),
        y=y,
        class_names=class_names,
        vocabulary=vocabulary.words,
        names=(where, f"labels of {where}", "", ""),
    )


def holds_texts(folder: Path) -> bool:
    """Whether a folder's sub-folders have ``.txt`` files, and no images."""
    suffixes = {file.suffix.lower() for file in folder.glob("[!.]*/*")}
    return ".txt" in suffixes and suffixes.isdisjoint(SUFFIXES)


def read_texts(folder: Path, *, seed: int, validation: float, test: float) -> Source:
    """Read ``folder/<class>/<text>.txt``, in UTF-8.

    Raises:
        DataError: A folder without texts, or a file that can't be read.
    """
    classes = sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    texts: list[str] = []
    labels: list[int] = []
    for label, entry in enumerate(classes):
        files = sorted(entry.glob("*.txt"))
        if not files:
            raise DataError(f"{entry} holds no .txt files; remove it or add texts", str(entry))
        for file in files:
            try:
                texts.append(file.read_text(encoding="utf-8"))
            except UnicodeDecodeError as error:
                raise DataError(f"{file} is not text in UTF-8; convert it", str(file)) from error
            labels.append(label)
    return text_source(
        folder.resolve().name,
        texts,
        np.array(labels, np.int64),
        tuple(entry.name for entry in classes),
        seed=seed,
        validation=validation,
        test=test,
        where=str(folder),
    )
