"""`python -m optuna_nas.testing`: which samplers keep which promises."""

from __future__ import annotations

import subprocess
import sys

import pytest

from optuna_nas.testing.__main__ import NamedSampler, main


def test_a_table_and_what_was_found():
    command = [sys.executable, "-m", "optuna_nas.testing"]
    samplers = ["optuna.samplers:RandomSampler", "optuna.samplers:TPESampler(n_startup_trials=3)"]
    tests = ["-k", "workers_with_one_seed or enqueued"]
    result = subprocess.run([*command, *samplers, *tests], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    header = "| promise | `RandomSampler` | `TPESampler(n_startup_trials=3)` |"
    assert header in lines
    assert "| enqueued and added trials | yes | yes |" in lines
    assert any(line.startswith("| workers with one seed differ | **no** |") for line in lines)
    assert (
        "  - workers with one seed differ: 20 of 20 pairs of trials that ran side by side are equal"
        in lines
    )


def test_named_samplers():
    named = NamedSampler("optuna.samplers:TPESampler(multivariate=False, n_startup_trials=3)")
    assert named.title == "TPESampler(multivariate=False, n_startup_trials=3)"
    assert named(0)._n_startup_trials == 3


@pytest.mark.parametrize(
    "text",
    ["optuna.samplers", "optuna.samplers:NoSampler", "no_module:Sampler", "optuna:x(a=b)", "a:b(("],
)
def test_what_names_no_sampler(text, capsys):
    with pytest.raises(ValueError, match="MODULE:CLASS"):
        NamedSampler(text)
    with pytest.raises(SystemExit):
        main([text])
    assert "MODULE:CLASS" in capsys.readouterr().err
