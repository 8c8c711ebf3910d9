"""The table of ready spaces names them all, with their sizes."""

from __future__ import annotations

import re
from pathlib import Path

from optuna_nas import SearchSpace, spaces

PAGE = Path(__file__).parents[2] / "docs" / "spaces.md"


def test_the_table_is_complete_and_right() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## Ready spaces")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)\(\)` \|.*\| ([^|]+) \|$", section, re.M))
    made = {name: getattr(spaces, name)() for name in spaces.__all__}
    ready = {name: space for name, space in made.items() if isinstance(space, SearchSpace)}
    assert set(rows) == set(ready)
    for name, text in rows.items():
        size = ready[name].size
        if name == "chain_cnn":
            assert ready[name].input_shape[:2] == (8, 8)
        number = text.split()[0]
        assert number == (f"{size:.1e}".replace("e+", "e") if "e" in number else f"{size:,}"), name
