"""Layers of a supernet: made once, for the most channels, where their number is decided."""

from __future__ import annotations

import math
from typing import Any

from optuna_nas.errors import SupernetError
from optuna_nas.space.nodes import Channels, Layer, multiple, value_points
from optuna_nas.space.squeeze_excite import SqueezeExcite
from optuna_nas.supergraph.builder import Undecided
from optuna_nas.supergraph.emission import MAX_ALTERNATIVES, SuperEmitter
from optuna_nas.supergraph.structure import Condition
from optuna_nas.supergraph.widths import MATRICES, conjunction, prefix


def emit_layer(emitter: SuperEmitter, node: Layer, path: str, x: str) -> str:
    """A layer; where the number of its channels is decided, one for the most of them."""
    width = MATRICES.get(node.op, "")
    _check_combinations(emitter, node, width, path)
    attributes: dict[str, Any] = {}
    for key, value in node.attributes.items():
        if key != width:
            resolved, _ = emitter.resolve(value, path)
            is_width = isinstance(resolved, Channels)
            attributes[key] = resolved.of(emitter.channels(x)) if is_width else resolved
    if width not in node.attributes:
        return emitter.builder.add(node.op, attributes, [x], name=f"{path}{node.op}")
    counts = {
        condition: count // emitter.divisor
        for condition, count in _counts(emitter, node.attributes[width], path, x).items()
    }
    most = max(counts.values())
    table = {condition: prefix(count, most) for condition, count in counts.items()}
    if len(counts) > 1 and attributes.get("groups", 1) != 1:
        raise Undecided(next(name for condition in counts for name, _ in condition))
    return emitter.builder.add(
        node.op, {**attributes, width: most}, [x], name=f"{path}{node.op}", table=table
    )


def _check_combinations(emitter: SuperEmitter, node: Layer, width: str, path: str) -> None:
    """A layer is made once for each combination of its attributes but its width."""
    others = [value for key, value in node.attributes.items() if key != width]
    points = [point for value in others for point in value_points(value, path)]
    combinations = math.prod(len(emitter.alternatives(point.name).values) for point in points)
    if combinations > MAX_ALTERNATIVES:
        names = [point.name for point in points]
        raise SupernetError(
            f"The layer {node.op!r} at {path!r} has {combinations:,} combinations of "
            f"{', '.join(map(repr, names[:3]))}{', ...' if len(names) > 3 else ''}, and a supernet "
            f"holds every one; leave at most {MAX_ALTERNATIVES}.",
            names,
        )


def _counts(emitter: SuperEmitter, value: Any, path: str, x: str) -> dict[Condition, int]:
    """Each number of channels that an attribute may come to, by the decisions it takes."""
    try:
        resolved, _ = emitter.resolve(value, path)
    except Undecided as undecided:
        name = undecided.name
    else:
        if not isinstance(resolved, Channels):
            return {(): resolved}
        table = emitter.builder.table(x)
        return {c: resolved.of(int(mask.sum())) for c, mask in table.items()}
    found: dict[Condition, int] = {}
    for position in range(len(emitter.alternatives(name).values)):
        with emitter.assuming(name, position):
            for condition, count in _counts(emitter, value, path, x).items():
                both = conjunction([condition, ((name, position),)])
                assert both is not None  # tables leave out what is assumed
                found[both] = count
    return found


def emit_squeeze_excite(
    emitter: SuperEmitter, node: SqueezeExcite, path: str, x: str
) -> str | None:
    """As the node does it, with as many units as there are channels in use."""
    ratio, activation = emitter.resolve((node.ratio, node.activation), path)[0]
    builder = emitter.builder
    table = builder.table(x)
    counts = {c: multiple(int(m.sum()) * ratio, node.divisor) for c, m in table.items()}
    units = max(counts.values())
    squeezed = {condition: prefix(count, units) for condition, count in counts.items()}
    channels = builder.shapes[x][-1]
    weights = x
    for op, attributes, given in (
        ("global_average_pooling2d", {}, None),
        ("dense", {"units": units}, squeezed),
        ("activation", {"function": activation}, None),
        ("dense", {"units": channels}, table),
        ("activation", {"function": node.gate}, None),
        ("reshape", {"target_shape": (1, 1, channels)}, table),
    ):
        weights = builder.add(op, attributes, [weights], name=f"{path}{op}", table=given)
    return builder.add("multiply", {}, [x, weights], name=f"{path}multiply")
