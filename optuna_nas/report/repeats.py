"""Finding what repeats in a network, so that a drawing shows it once.

The network is cut at every box all data pass through. What lies between two cuts is a segment;
runs of equal segments, or of equal groups of segments, become one `Unit` with a number of times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna_nas.report.boxes import Box

Signature = tuple[object, ...]


@dataclass(frozen=True)
class Segment:
    """Boxes between two cuts: the first cut left out, the last one in.

    Args:
        boxes: Indices of boxes in topological order, the cut last.
        entry: Index of the box that feeds the segment; -1 at the beginning.
    """

    boxes: tuple[int, ...]
    entry: int


@dataclass(frozen=True)
class Unit:
    """Consecutive segments that occur ``times`` times in a row; those of the first time."""

    segments: tuple[Segment, ...]
    times: int


def units_of(boxes: Sequence[Box], output: int) -> list[Unit]:
    """Cut a network whose value is box ``output`` into units, folding repetitions."""
    segments = _segments(boxes, output)
    signatures = [_signature(boxes, segment) for segment in segments]
    units: list[Unit] = []
    at = 0
    while at < len(segments):
        length, times = _best_repeat(signatures, at)
        units.append(Unit(tuple(segments[at : at + length]), times))
        at += length * times
    return units


def _segments(boxes: Sequence[Box], output: int) -> list[Segment]:
    useful = {output}
    for index in range(output, -1, -1):
        if index in useful:
            useful.update(boxes[index].inputs)
    # The furthest reader of each box: an edge that jumps over a box forbids a cut there.
    furthest = dict.fromkeys(useful, 0)
    for index in useful:
        for source in boxes[index].inputs:
            furthest[source] = max(furthest[source], index)
    home: dict[int, int] = {}  # box -> position of its segment
    cuts: list[int] = []
    horizon = 0
    for index in sorted(useful):
        home[index] = len(cuts)
        if horizon <= index:
            cuts.append(index)
        horizon = max(horizon, furthest[index])
    members: list[list[int]] = [[] for _ in cuts]
    for index, box in enumerate(boxes):
        if index not in useful:  # a dead end hangs where its last source is
            home[index] = max((home[source] + (source in cuts) for source in box.inputs), default=0)
        if home[index] == len(members):
            members.append([])
        members[home[index]].append(index)
    for position, cut in enumerate(cuts):
        members[position].remove(cut)
        members[position].append(cut)
    entries = [-1, *cuts]
    return [Segment(tuple(part), entries[i]) for i, part in enumerate(members)]


def _signature(boxes: Sequence[Box], segment: Segment) -> Signature:
    """Equal for segments that would be drawn alike."""
    local = {index: position for position, index in enumerate(segment.boxes)}
    return tuple(
        (
            box.title,
            box.lines,
            box.kind,
            box.dead,
            tuple(sorted(local.get(source, -1) for source in box.inputs)),
        )
        for box in (boxes[index] for index in segment.boxes)
    )


def _best_repeat(signatures: Sequence[Signature], start: int) -> tuple[int, int]:
    """Length of the group at ``start`` and how often it occurs in a row, saving most drawing."""
    best, saved = (1, 1), 0
    for length in range(1, (len(signatures) - start) // 2 + 1):
        group = signatures[start : start + length]
        times = 1
        while signatures[start + times * length : start + (times + 1) * length] == group:
            times += 1
        saving = (times - 1) * sum(len(signature) for signature in group)
        if saving > saved:
            best, saved = (length, times), saving
    return best
