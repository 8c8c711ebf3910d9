"""Numbers as people read them."""

from __future__ import annotations

import pytest

from optuna_nas.report.measures import head, label, measured, noun
from optuna_nas.report.text import count, memory, number, percent, plain, product, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (950, "950"),
        (999, "999"),
        (1000, "1k"),
        (12_345, "12.3k"),
        (999_600, "1M"),
        (4_560_000, "4.56M"),
        (7e9, "7G"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_count(value, text):
    assert count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (0.0, "0"),
        (12345.6, "12,346"),
        (1234567, "1,234,567"),
        (1e-7, "1.00e-07"),
        (float("inf"), "inf"),
        (None, "–"),
    ],
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123, "0.12 s"),
        (42.4, "42 s"),
        (99.7, "1 min 40 s"),
        (600, "10 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (None, "–"),
    ],
)
def test_seconds(value, text):
    assert seconds(value) == text


def test_other_units():
    assert percent(0.98765) == "98.77 %"
    assert memory(512) == "512 B"
    assert memory(1536) == "1.5 KiB"
    assert memory(3 * 2**30) == "3 GiB"
    assert product((8, 8, 16)) == "8×8×16"
    assert plain(list(range(100))).endswith("11 and 88 more")
    assert plain(True) == "True"
    assert plain(None) == "–"


def test_measures_have_names_and_units():
    assert measured("accuracy", 0.5) == "50.00 %"
    assert measured("latency_ms", 0.25) == "0.25 ms"
    assert measured("params", 1_000_000) == "1M"
    assert measured("size_bytes", 2048) == "2 KiB"
    assert label("latency_ms") == "latency (ms)"
    assert noun("latency_ms") == "latency"
    assert head("macs") == "MACs"
    assert label("val_f1_score") == "validation f1 score"
