"""`draw_architecture`: an SVG picture of a network, top to bottom.

Repeated parts are drawn once in a frame with their number, dead branches are grey and dashed, and
the colours follow the reader's light or dark theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from optuna_nas.graph import ArchitectureGraph
from optuna_nas.report.boxes import Box, boxes_of
from optuna_nas.report.layered import Layout, layered
from optuna_nas.report.repeats import Segment, Unit, units_of
from optuna_nas.report.text import count, product

ROW_GAP = 24.0
COLUMN_GAP = 16.0
MARGIN = 14.0
FRAME = 16.0
LINE = 16.0
LETTER = {"title": 7.7, "small": 5.9}

KINDS = ("convolution", "dense", "pooling", "merge", "plain", "end", "wire")
STYLE = """
.nas{--ink:#1c2330;--soft:#5b6573;--line:#8a94a3;--dead:#b4bac3;--frame:#c5ccd6;
--convolution:#dbe8fd;--dense:#e8defa;--pooling:#d9f2e3;--merge:#fdebc8;--plain:#eceff3;
--end:#e3e7ee;--wire:#ffffff;font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
@media (prefers-color-scheme:dark){.nas{--ink:#e8ecf3;--soft:#a3adbb;--line:#76808f;
--dead:#4d5663;--frame:#3d4653;--convolution:#1d3557;--dense:#3a2b5c;--pooling:#1c4532;
--merge:#523d12;--plain:#2a313b;--end:#333c49;--wire:#1b2028}}
.nas rect{stroke:var(--line);stroke-width:1}
.nas text{fill:var(--soft);font-size:11px;text-anchor:middle}
.nas .t{fill:var(--ink);font-size:13px;font-weight:600}
.nas path{fill:none;stroke:var(--line);stroke-width:1.4}
.nas g.d rect{fill:none;stroke:var(--dead);stroke-dasharray:4 3}
.nas .d text,.nas .d .t{fill:var(--dead)}
.nas path.d{stroke:var(--dead);stroke-dasharray:4 3}
.nas rect.f{fill:none;stroke:var(--frame);stroke-width:1.5;stroke-dasharray:none}
.nas .x{font-size:15px;font-weight:700;fill:var(--ink);text-anchor:start}
.nas .h{fill:var(--line);stroke:none}.nas .h.d{fill:var(--dead)}
""" + "".join(f".nas .{kind} rect{{fill:var(--{kind})}}" for kind in KINDS)


def draw_architecture(graph: ArchitectureGraph) -> str:
    """Draw a network as a self-contained SVG element.

    Args:
        graph: The network, dead branches included.

    Returns:
        SVG text with a fixed size in CSS pixels and a matching view box.
    """
    boxes = boxes_of(graph)
    output = next(i for i, box in enumerate(boxes) if graph.output in box.layers)
    picture = _Picture(boxes)
    for unit in units_of(boxes, output):
        picture.add(unit)
    summary = (
        f"Network from {product(graph.input_shape)} to {product(graph.output_shape)}: "
        f"{count(graph.params)} parameters, {count(graph.macs)} multiply-accumulates"
    )
    return picture.svg(summary)


def box_size(box: Box) -> tuple[float, float]:
    """Width and height of a box that holds its text."""
    widths = [len(box.title) * LETTER["title"]]
    widths += [len(line) * LETTER["small"] for line in box.lines]
    return max(max(widths) + 22, 56.0), LINE * len(widths) + 12


class _Picture:
    """Collects SVG fragments while it moves down the page; x = 0 is the axis of the network."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.boxes = boxes
        self.sizes = [box_size(box) for box in boxes]
        self.edges: list[str] = []
        self.shapes: list[str] = []
        self.y = 0.0
        self.left = self.right = 0.0
        self.exit: tuple[float, float] | None = None  # where the last cut can be left

    def add(self, unit: Unit) -> None:
        """Draw the segments of a unit below what is there."""
        framed = unit.times > 1
        top = self.y
        outside, self.left, self.right = (self.left, self.right), 0.0, 0.0
        if framed:
            self.y += FRAME
        for segment in unit.segments:
            self._segment(segment)
        if framed:
            frame_left, frame_right = self.left - FRAME, self.right + FRAME
            bottom = self.y - ROW_GAP + FRAME
            self.shapes.append(
                f'<rect class="f" x="{frame_left:.1f}" y="{top:.1f}" rx="12" '
                f'width="{frame_right - frame_left:.1f}" height="{bottom - top:.1f}"/>'
                f'<text class="x" x="{frame_right + 8:.1f}" y="{(top + bottom) / 2 + 5:.1f}">'
                f"× {unit.times}</text>"
            )
            self.left, self.right = frame_left, frame_right + 46
            self.y = bottom + ROW_GAP
        self.left, self.right = min(self.left, outside[0]), max(self.right, outside[1])

    def _segment(self, segment: Segment) -> None:
        entry = segment.entry
        inner = set(segment.boxes)
        nodes = ([entry] if self.exit is not None else []) + list(segment.boxes)
        reads = {
            node: [s for s in self.boxes[node].inputs if s in inner or s == entry]
            if node in inner
            else []
            for node in nodes
        }
        widths = {node: self.sizes[node][0] if node in inner else 0.0 for node in nodes}
        layout = layered(reads, widths, gap=COLUMN_GAP)
        last = segment.boxes[-1]
        shift = -layout.x[last] if self.boxes[last].inputs else 0.0
        skipped = 1 if self.exit is not None else 0  # the entry's row is on the page already
        tops, heights = self._rows(segment, layout, skipped)
        for node in segment.boxes:
            x, row = layout.x[node] + shift, layout.row[node]
            width, height = self.sizes[node]
            y = tops[row] + (heights[row] - height) / 2
            self._box(self.boxes[node], x, y, width, height)
        for (source, target), bends in layout.bends.items():
            points = []
            if source in inner:
                row = layout.row[source]
                bottom = tops[row] + (heights[row] + self.sizes[source][1]) / 2
                points.append((layout.x[source] + shift, bottom))
            elif self.exit is not None:
                points.append(self.exit)
            for x, row in bends:
                points += [(x + shift, tops[row]), (x + shift, tops[row] + heights[row])]
                self._stretch(x + shift, x + shift)
            row = layout.row[target]
            top = tops[row] + (heights[row] - self.sizes[target][1]) / 2
            points.append((layout.x[target] + shift, top))
            self._edge(points, dead=self.boxes[source].dead or self.boxes[target].dead)
        row = layout.row[last]
        self.exit = (layout.x[last] + shift, tops[row] + (heights[row] + self.sizes[last][1]) / 2)

    def _rows(
        self, segment: Segment, layout: Layout, skipped: int
    ) -> tuple[dict[int, float], dict[int, float]]:
        tops: dict[int, float] = {}
        heights: dict[int, float] = {}
        for row in range(skipped, layout.rows):
            members = [node for node in segment.boxes if layout.row[node] == row]
            heights[row] = max((self.sizes[node][1] for node in members), default=0.0)
            tops[row] = self.y
            self.y += heights[row] + ROW_GAP
        return tops, heights

    def _stretch(self, left: float, right: float) -> None:
        self.left, self.right = min(self.left, left), max(self.right, right)

    def _box(self, box: Box, x: float, y: float, width: float, height: float) -> None:
        self._stretch(x - width / 2, x + width / 2)
        dead = " d" if box.dead else ""
        lines = [(box.title, ' class="t"'), *((line, "") for line in box.lines)]
        text = "".join(
            f'<text{style} x="{x:.1f}" y="{y + 18 + LINE * position:.1f}">{escape(line)}</text>'
            for position, (line, style) in enumerate(lines)
        )
        self.shapes.append(
            f'<g class="{box.kind}{dead}"><title>{escape(box.tooltip)}</title>'
            f'<rect x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="9"/>{text}</g>'
        )

    def _edge(self, points: Sequence[tuple[float, float]], *, dead: bool) -> None:
        x, y = points[0]
        path = [f"M{x:.1f} {y:.1f}"]
        for to_x, to_y in points[1:]:
            middle = (y + to_y) / 2
            path.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
            x, y = to_x, to_y
        mark = " d" if dead else ""
        self.edges.append(
            f'<path class="e{mark}" d="{"".join(path)}"/>'
            f'<path class="h{mark}" d="M{x - 4:.1f} {y - 7:.1f}L{x + 4:.1f} {y - 7:.1f}'
            f'L{x:.1f} {y:.1f}Z"/>'
        )

    def svg(self, summary: str) -> str:
        """Close the picture: one SVG element around everything drawn."""
        x, y = self.left - MARGIN, -MARGIN
        width = self.right - self.left + 2 * MARGIN
        height = self.y - ROW_GAP + 2 * MARGIN
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="nas" role="img" '
            f'width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="{x:.1f} {y:.1f} {width:.1f} {height:.1f}">'
            f"<title>{escape(summary)}</title><style>{STYLE}</style>"
            f"{''.join(self.edges)}{''.join(self.shapes)}</svg>"
        )
