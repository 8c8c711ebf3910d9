"""`draw_space`: an SVG picture of a search space, its decisions as a tree."""

from __future__ import annotations

from html import escape

from optuna_nas.report.drawing import MARGIN
from optuna_nas.space import SearchSpace
from optuna_nas.space.outline import Row, outline

ROW = 26.0
BOX = 20.0
INDENT = 22.0
GAP = 10.0
LETTER = {"title": 7.7, "plain": 6.8}
FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,sans-serif'
STYLE = f"""
.space{{--ink:#1c2330;--soft:#5b6573;--line:#8a94a3;--decision:#dbe8fd;--repeat:#fdebc8;
font-family:{FONT}}}
@media (prefers-color-scheme:dark){{.space{{--ink:#e8ecf3;--soft:#a3adbb;--line:#76808f;
--decision:#1d3557;--repeat:#523d12}}}}
.space rect{{stroke:var(--line);fill:var(--decision)}}
.space .r rect{{fill:var(--repeat)}}
.space text{{font-size:12px;fill:var(--soft)}}
.space .n{{fill:var(--ink);font-weight:600}}
.space .c{{font-style:italic}}
.space path{{fill:none;stroke:var(--line)}}
"""


def draw_space(space: SearchSpace) -> str:
    """Draw a search space as a self-contained SVG element.

    Every decision is a box with its values beside it, and hangs on the decision under which it
    exists. Repetitions have another colour; what is the same in their copies, or in several
    branches, is drawn once.

    Returns:
        SVG text with a fixed size in CSS pixels and a matching view box.
    """
    rows = outline(space.points)
    shapes: list[str] = []
    right = 0.0
    last: dict[int, float] = {}  # middle of the last row at each level
    for number, row in enumerate(rows):
        middle = number * ROW + ROW / 2
        right = max(right, _draw(row, middle, shapes))
        if row.level:
            x = (row.level - 1) * INDENT + INDENT / 2
            shapes.append(
                f'<path d="M{x:.1f} {last[row.level - 1] + BOX / 2:.1f}V{middle:.1f}'
                f'H{row.level * INDENT:.1f}"/>'
            )
        last[row.level] = middle
    width, height = right + 2 * MARGIN, len(rows) * ROW + 2 * MARGIN
    summary, _, _ = space.describe().partition("\n\n")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="space" role="img" '
        f'width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN:.1f} {-MARGIN:.1f} {width:.1f} {height:.1f}">'
        f"<title>{escape(summary)}</title><style>{STYLE}</style>{''.join(shapes)}</svg>"
    )


def _draw(row: Row, middle: float, shapes: list[str]) -> float:
    """Append a row; return where it ends."""
    left, base = row.level * INDENT, middle + 4
    if not row.name:
        shapes.append(
            f'<text class="c" x="{left + 4:.1f}" y="{base:.1f}">{escape(row.text)}</text>'
        )
        return left + 4 + len(row.text) * LETTER["plain"]
    width = len(row.name) * LETTER["title"] + 12
    kind = ' class="r"' if row.repeats else ""
    shapes.append(
        f'<g{kind}><rect x="{left:.1f}" y="{middle - BOX / 2:.1f}" width="{width:.1f}" '
        f'height="{BOX:.1f}" rx="4"/></g>'
        f'<text class="n" x="{left + 6:.1f}" y="{base:.1f}">{escape(row.name)}</text>'
        f'<text x="{left + width + GAP:.1f}" y="{base:.1f}">{escape(row.text)}</text>'
    )
    return left + width + GAP + len(row.text) * LETTER["plain"]
