"""Which samplers keep which promises: a table in Markdown, and what the tests found.

    python -m optuna_nas.testing                                    # ours, and some of Optuna's
    python -m optuna_nas.testing "my_package:MySampler(greedy=True)" optuna.samplers:TPESampler

A sampler is named by its module and its class, whose constructor takes ``seed``, and which may be
followed by further keyword arguments.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler

from optuna_nas import samplers

OPTUNAS = (
    "optuna.samplers:RandomSampler",
    "optuna.samplers:TPESampler",
    "optuna.samplers:TPESampler(multivariate=True, group=True)",
    "optuna.samplers:NSGAIISampler",
)


class NamedSampler:
    """A function from a seed to the sampler that a text names.

    Raises:
        ValueError: If the text does not name a sampler.
    """

    def __init__(self, text: str) -> None:
        module, _, call = text.partition(":")
        name, _, rest = call.partition("(")
        try:
            tree = ast.parse(f"f({rest or ')'}", mode="eval").body
            assert isinstance(tree, ast.Call)
            self._arguments = {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
            self._class = getattr(importlib.import_module(module), name)
        except (SyntaxError, ImportError, AttributeError, ValueError) as error:
            raise ValueError(
                f"sampler must be MODULE:CLASS or MODULE:CLASS(argument=value), got {text!r}: "
                f"{error}"
            ) from error
        self.title = call

    def __call__(self, seed: int | None) -> BaseSampler:
        sampler: BaseSampler = self._class(seed=seed, **self._arguments)
        return sampler


class Findings:
    """A pytest plugin: tests every sampler, and keeps what came out.

    Attributes:
        outcomes: Promise -> title of a sampler -> None where it was kept, else what was found.
    """

    def __init__(self, named: Sequence[NamedSampler]) -> None:
        self._named = named
        self.outcomes: dict[str, dict[str, str | None]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "named_sampler" in metafunc.fixturenames:
            metafunc.parametrize(
                "named_sampler", self._named, ids=[named.title for named in self._named]
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Function, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if report.when == "call" or report.failed:
            named = item.callspec.params["named_sampler"]
            assert isinstance(named, NamedSampler)
            case = item.callspec.id.replace(named.title, "").strip("-")
            promise = f"{item.originalname}[{case}]" if case else str(item.originalname)
            found = None if call.excinfo is None else str(call.excinfo.value).splitlines()[0]
            self.outcomes.setdefault(promise, {}).setdefault(named.title, None)
            if report.failed:
                self.outcomes[promise][named.title] = (found or "").removeprefix("AssertionError: ")
        return report

    def to_markdown(self) -> str:
        """A table of promises and samplers, and below it a line for each that is not kept."""
        titles = [named.title for named in self._named]
        lines = ["| promise | " + " | ".join(f"`{title}`" for title in titles) + " |"]
        lines.append("|" + "---|" * (len(titles) + 1))
        findings: dict[str, list[str]] = {}
        for promise, by_sampler in self.outcomes.items():
            name = promise.removeprefix("test_").replace("_", " ").replace("[", " (")
            name = name.replace("]", ")")
            cells = ["yes" if by_sampler[title] is None else "**no**" for title in titles]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
            for title in titles:
                if by_sampler[title] is not None:
                    findings.setdefault(title, []).append(f"  - {name}: {by_sampler[title]}")
        for title, found in findings.items():
            lines += ["", f"- `{title}`", *found]
        return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Test the samplers and print the table."""
    parser = argparse.ArgumentParser(prog="python -m optuna_nas.testing")
    ours = [f"optuna_nas.samplers:{name}" for name in samplers.__all__]
    parser.add_argument("samplers", nargs="*", default=[*ours, *OPTUNAS], help="MODULE:CLASS")
    parser.add_argument("-k", default="", help="only the tests that match, as in pytest")
    options = parser.parse_args(arguments)
    try:
        findings = Findings([NamedSampler(text) for text in options.samplers])
    except ValueError as error:
        parser.error(str(error))
    pytest.register_assert_rewrite("optuna_nas.testing")
    suite = str(Path(__file__).with_name("_any_sampler.py"))
    quiet = ["-qq", "--no-header", "--tb=no", "--no-summary", "-p", "no:cacheprovider"]
    quiet += ["--import-mode=importlib", "-W", "ignore", "--rootdir", str(Path(suite).parent)]
    pytest.main([suite, *quiet, "-c", "/dev/null", "-k", options.k], plugins=[findings])
    print(f"\nOptuna {optuna.__version__}, Python {sys.version.split()[0]}\n")
    print(findings.to_markdown())


if __name__ == "__main__":
    main()
