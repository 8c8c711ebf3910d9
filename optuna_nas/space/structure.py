"""Structure: repetitions and branches."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna_nas.errors import SpaceError
from optuna_nas.space.decisions import Categorical, IntegerRange, Point, Value
from optuna_nas.space.nodes import (
    Emitter,
    Node,
    Scope,
    as_node,
    check_name,
    value_points,
)

MERGES = ("add", "concatenate", "multiply")


def merged(emitter: Emitter, path: str, merge: Any, outputs: Sequence[str]) -> str:
    """Outputs merged into one; a single one stays as it is."""
    if len(outputs) == 1:
        return outputs[0]
    operation, names = emitter.resolve(merge, path)
    added = emitter.builder.add(operation, {}, outputs, name=f"{path}{operation}", key=operation)
    if names:
        emitter.govern(names, emitter.position - 1)
    return added


def _check_merge(kind: str, merge: Any) -> None:
    if not isinstance(merge, Node) and merge not in MERGES:
        raise SpaceError(f"{kind}: merge is one of {', '.join(MERGES)}, got {merge!r}.", merge)


@dataclass(frozen=True)
class Repeat(Node):
    """``low`` to ``high`` copies of a body one after another, each with decisions of its own.

    The depth is the decision ``name/depth`` (none where low equals high); copy ``i`` lives under
    ``name/i/``. Wrap the body in `Tied` for copies that decide together.
    """

    name: str
    low: int
    high: int
    body: Any

    def __post_init__(self) -> None:
        check_name(self.name, "Repeat")
        bounds = (self.low, self.high)
        if any(isinstance(b, bool) or not isinstance(b, int) for b in bounds):
            raise SpaceError(f"Repeat {self.name!r}: low and high must be int, got {bounds}.")
        if not 0 <= self.low <= self.high or self.high < 1:
            raise SpaceError(f"Repeat {self.name!r}: expected 0 <= low <= high, got {bounds}.")
        object.__setattr__(self, "body", as_node(self.body))

    def points(self, path: str) -> tuple[Point, ...]:
        prefix = f"{path}{self.name}/"
        copies = tuple(self.body.points(f"{prefix}{i}/") for i in range(self.high))
        if self.low == self.high:
            return tuple(point for copy in copies for point in copy)
        domain = IntegerRange(self.low, self.high)
        return (Point(f"{prefix}depth", domain, copies=copies, copy_prefix=prefix),)

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        prefix = f"{path}{self.name}/"
        fixed = self.low == self.high
        depth = self.high if fixed else int(emitter.params[f"{prefix}depth"])
        start = emitter.position
        for i in range(depth):
            x = emitter.emit(self.body, f"{prefix}{i}/", x) or x
        if not fixed:
            emitter.govern((f"{prefix}depth",), start)
        return x


@dataclass(frozen=True)
class Parallel(Node):
    """Branches that read one input and are merged.

    Args:
        branches: Bodies; in a mapping each branch's decisions are named under its key.
        merge: "add", "concatenate", "multiply", or a decision between them.
        project: Whether branches whose shape differs are brought to the shape of the deepest,
            smallest one by a 1x1 convolution with batch normalisation.
    """

    branches: Any
    merge: Any = "add"
    project: bool = False

    def __post_init__(self) -> None:
        _check_merge("Parallel", self.merge)
        if isinstance(self.branches, Node) or not self.branches:
            raise SpaceError(
                f"Parallel: branches are a list or dict of at least one, got {self.branches!r}.",
                self.branches,
            )
        parts = (
            [Scope(key, body) for key, body in self.branches.items()]
            if isinstance(self.branches, Mapping)
            else [as_node(body) for body in self.branches]
        )
        object.__setattr__(self, "branches", tuple(parts))

    def points(self, path: str) -> tuple[Point, ...]:
        points = tuple(point for branch in self.branches for point in branch.points(path))
        return points + value_points(self.merge, path)

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        emitted = (emitter.emit(branch, path, x) for branch in self.branches)
        outputs = [output for output in emitted if output is not None]
        if not outputs:
            return None
        if self.project:
            outputs = projected(emitter, path, outputs)
        return merged(emitter, path, self.merge, outputs)


def projected(emitter: Emitter, path: str, outputs: list[str]) -> list[str]:
    """Bring outputs to one shape by strided 1x1 convolutions (He et al. 2016, option B)."""
    shapes = [emitter.builder.shapes[output] for output in outputs]
    if len({len(shape) for shape in shapes}) != 1:
        return outputs  # the merge says what is wrong
    *sizes, channels = zip(*shapes, strict=True)
    target = (*map(min, sizes), max(channels))
    brought = []
    for output, shape in zip(outputs, shapes, strict=True):
        if shape != target:
            if len(shape) == 1:
                attributes: dict[str, Any] = {"units": target[-1], "use_bias": False}
                output = emitter.builder.add("dense", attributes, [output], name=f"{path}project")
            else:
                strides = tuple(-(-a // b) for a, b in zip(shape[:-1], target[:-1], strict=True))
                attributes = {"filters": target[-1], "kernel_size": 1, "strides": strides}
                op = f"conv{len(strides)}d"
                output = emitter.builder.add(op, attributes, [output], name=f"{path}project")
            output = emitter.builder.add(
                "batch_normalization", {}, [output], name=f"{path}project_normalization"
            )
        brought.append(output)
    return brought


@dataclass(frozen=True)
class Subset(Node):
    """``low`` to ``high`` of several named branches, merged: chosen inputs, chosen operations.

    The decision is the sorted set of names joined by '+', so that it is one parameter.
    """

    name: str
    options: Mapping[str, Any]
    low: int
    high: int
    merge: Any = "add"

    def __post_init__(self) -> None:
        check_name(self.name, "Subset")
        _check_merge(f"Subset {self.name!r}", self.merge)
        if not isinstance(self.options, Mapping):
            raise SpaceError(
                f"Subset {self.name!r}: options are a dict of named branches, "
                f"got {self.options!r}.",
                self.options,
            )
        for key in self.options:
            check_name(key, f"Subset {self.name!r}")
            if "+" in key:
                raise SpaceError(f"Subset {self.name!r}: no '+' in a branch's name, got {key!r}.")
        if not 1 <= self.low <= self.high <= len(self.options):
            raise SpaceError(
                f"Subset {self.name!r}: expected 1 <= low <= high <= {len(self.options)} options, "
                f"got low={self.low}, high={self.high}."
            )
        parts = {key: as_node(body) for key, body in self.options.items()}
        object.__setattr__(self, "options", parts)

    def points(self, path: str) -> tuple[Point, ...]:
        inner = {k: body.points(f"{path}{self.name}/{k}/") for k, body in self.options.items()}
        sets = [
            chosen
            for size in range(self.low, self.high + 1)
            for chosen in itertools.combinations(self.options, size)
        ]
        branches: dict[Value, tuple[Point, ...]] = {
            "+".join(chosen): tuple(p for key in chosen for p in inner[key]) for chosen in sets
        }
        if not any(branches.values()):
            branches = {}
        domain = Categorical(tuple("+".join(chosen) for chosen in sets))
        return (Point(path + self.name, domain, branches), *value_points(self.merge, path))

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        chosen = str(emitter.params[path + self.name]).split("+")
        start = emitter.position
        emitted = (emitter.emit(self.options[k], f"{path}{self.name}/{k}/", x) for k in chosen)
        outputs = [output for output in emitted if output is not None]
        output = merged(emitter, path, self.merge, outputs) if outputs else None
        emitter.govern((path + self.name,), start)
        return output
