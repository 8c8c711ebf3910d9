from __future__ import annotations

import inspect
import io
from dataclasses import fields

import pytest
from rich.console import Console

from keras_nas.cli.console import ProgressBar, _duration
from keras_nas.cli.search import _objectives, search
from keras_nas.settings import SearchSettings


def test_every_setting_is_an_option_with_the_same_default() -> None:
    options = inspect.signature(search).parameters
    for setting in fields(SearchSettings):
        if setting.name == "objectives":
            continue
        assert options[setting.name].default == setting.default, setting.name


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["accuracy,latency_ms"], ["accuracy", "latency_ms"]),
        (["accuracy", "params, macs"], ["accuracy", "params", "macs"]),
        (["loss,"], ["loss"]),
    ],
)
def test_objectives_by_commas_or_repeated(given: list[str], expected: list[str]) -> None:
    assert _objectives(given) == expected


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (61, "1:01"), (3599.6, "1:00:00"), (7322, "2:02:02")]
)
def test_duration(seconds: float, text: str) -> None:
    assert _duration(seconds) == text


@pytest.mark.parametrize("quiet", [True, False])
def test_without_a_terminal_stages_are_lines(quiet: bool) -> None:
    text = io.StringIO()
    with ProgressBar(Console(file=text), quiet=quiet) as bar:
        bar.stage("reading digits")
        bar.finalists(4, 0.5)
    assert text.getvalue() == ("" if quiet else "reading digits\n")


def test_on_a_terminal_there_is_a_bar() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    with ProgressBar(console) as bar:
        bar.stage("reading digits")
        bar.finalists(4, 0.5)
    assert "training 4 in full" in text.getvalue()
    assert "50%" in text.getvalue()
