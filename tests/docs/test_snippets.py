"""Every Python snippet of the README and the docs runs, in order, one file after another."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def run(code: str, folder: Path) -> str:
    """Run code as a script of its own, as a reader would, in an empty folder."""
    script = folder / "script.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [p for p in PAGES if SNIPPET.search(p.read_text("utf-8"))], ids=str
)
def test_the_snippets_of_a_page_run(page: Path, tmp_path: Path) -> None:
    run("\n".join(SNIPPET.findall(page.read_text(encoding="utf-8"))), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_is_short(example: Path, tmp_path: Path) -> None:
    code = example.read_text(encoding="utf-8")
    assert len(code.splitlines()) <= 80
    assert run(code, tmp_path).strip()


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
