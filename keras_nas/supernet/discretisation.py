"""From a supernet's mixtures to one architecture: how every value of every decision scores.

Liu et al. 2019, section 2.4: an edge is as strong as the strongest of its operations; a node keeps
its strongest edges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from keras_nas.supernet.policies.policy import Array
from optuna_nas.space.decisions import Value
from optuna_nas.supergraph import Block, Gates, Mixture, Role, SuperGraph, roles

Barred = Mapping[str, NDArray[np.bool_]]
"""For each choice, which of its values (values,) are left out."""

TINY = float(np.finfo(np.float64).tiny)


def value_logits(
    supergraph: SuperGraph,
    probabilities: Gates,
    *,
    exclude: Collection[Role] | None = None,
    most_skips: int | None = None,
) -> dict[str, Array]:
    """A logit for each value of every decision, in the order of its domain; -inf: never.

    A choice has the logarithms of its probabilities. An option of a `Subset` scores its own
    probability times that of the strongest value of the choices inside of it. A set of options
    scores the sum of their logarithms, taken from their mean, so that sets of different sizes can
    be compared: options stronger than the average are chosen.

    Args:
        supergraph: The networks.
        probabilities: Of each alternative, (size,), by decision: a policy's `probabilities`.
        exclude: Roles whose alternatives are left out. None: "none" where options are chosen by
            subsets, as in DARTS, whose nodes choose their edges so; nothing where not, as in
            NAS-Bench-201, where "none" is how an edge is left out.
        most_skips: Most skips of a cell: the weakest beyond give way to the next best. A cell is
            what has the same first part of its decisions' names.
    """
    barred = left_out(supergraph, exclude)
    logits = _logits(supergraph, probabilities, barred)
    while most_skips is not None:
        weakest = _surplus_skip(supergraph, logits, most_skips)
        if weakest is None:
            break
        name, position = weakest
        barred[name][position] = True
        logits = _logits(supergraph, probabilities, barred)
    return logits


def discretise(supergraph: SuperGraph, logits: Gates) -> dict[str, Value]:
    """The decisions of the architecture with the largest logits."""
    values = {
        name: decision.values[int(logits[name].argmax())]
        for name, decision in supergraph.decisions.items()
    }
    hot = {name: decision.hot(values[name]) for name, decision in supergraph.decisions.items()}
    return {name: values[name] for name in reached(supergraph, hot)}


def reached(supergraph: SuperGraph, gates: Gates) -> tuple[str, ...]:
    """Decisions that count in an architecture, in the order of the space.

    Args:
        supergraph: The networks.
        gates: What isn't above 0 is not taken; more than one alternative may be.
    """
    names = set(_reached(supergraph, supergraph.root, gates))
    return tuple(name for name in supergraph.decisions if name in names)


def _reached(supergraph: SuperGraph, block: Block, gates: Gates) -> Iterator[str]:
    for item in block.items:
        if isinstance(item, Mixture):
            yield item.decision
            for branch in item.branches:
                if gates[item.decision][list(branch.alternatives)].max() > 0:
                    yield from _reached(supergraph, branch.block, gates)
        elif item.name in supergraph.widths:
            for condition, _ in supergraph.widths[item.name].masks:
                off = [name for name, position in condition if gates[name][position] <= 0]
                # A decision that is open has no gate yet, and is not what keeps itself away.
                yield from (name for name, _ in condition if not set(off) - {name})


def roles_of(supergraph: SuperGraph) -> dict[str, list[set[Role]]]:
    """For every choice among branches, what each of its values does, wherever it stands."""
    found: dict[str, list[set[Role]]] = {}
    for mixture in supergraph.root.mixtures():
        if mixture.kind != "one":
            continue
        size = supergraph.decisions[mixture.decision].size
        sets = found.setdefault(mixture.decision, [set() for _ in range(size)])
        for branch, role in zip(mixture.branches, roles(mixture), strict=True):
            for position in branch.alternatives:
                sets[position].add(role)
    return found


def left_out(
    supergraph: SuperGraph, exclude: Collection[Role] | None
) -> dict[str, NDArray[np.bool_]]:
    """Values (values,) of each choice whose roles are excluded wherever they stand.

    A choice that would have none left keeps them all. `exclude` is as in `value_logits`.
    """
    excluded: set[Role] = set(exclude or ())
    if exclude is None and any(d.options is not None for d in supergraph.decisions.values()):
        excluded = {"none"}
    found = roles_of(supergraph)
    barred = {}
    for name, decision in supergraph.decisions.items():
        if decision.options is None:
            sets = found.get(name, [set()] * decision.size)
            out = np.array([bool(own) and own <= excluded for own in sets])
            barred[name] = out & (not out.all())
    return barred


def _logits(supergraph: SuperGraph, probabilities: Gates, barred: Barred) -> dict[str, Array]:
    scores = {
        name: np.where(
            barred.get(name, np.array(False)),
            -np.inf,
            np.log(np.maximum(probabilities[name], TINY)),
        )
        for name in supergraph.decisions
    }
    inside = _choices_inside(supergraph)
    logits = {}
    for name, decision in supergraph.decisions.items():
        if decision.options is None:
            logits[name] = scores[name]
            continue
        options = np.array(
            [
                own + sum(scores[inner].max() for inner in inside.get((name, k), ()))
                for k, own in enumerate(scores[name])
            ]
        )
        options -= options.mean()
        logits[name] = np.array([decision.hot(value) @ options for value in decision.values])
    return logits


def _choices_inside(supergraph: SuperGraph) -> dict[tuple[str, int], set[str]]:
    """The outermost choices inside of each option of a `Subset`."""
    inside: dict[tuple[str, int], set[str]] = {}
    for mixture in supergraph.root.mixtures():
        if supergraph.decisions[mixture.decision].options is not None:
            for branch in mixture.branches:
                choices = inside.setdefault((mixture.decision, branch.alternatives[0]), set())
                for item in branch.block.items:
                    if not isinstance(item, Mixture):
                        continue
                    if supergraph.decisions[item.decision].options is None:
                        choices.add(item.decision)
    return inside


def _surplus_skip(supergraph: SuperGraph, logits: Gates, most: int) -> tuple[str, int] | None:
    """The weakest skip of a cell that has too many: its decision and position."""
    cells: dict[str, list[tuple[float, str, int]]] = {}
    found = roles_of(supergraph)
    for name in discretise(supergraph, logits):
        position = int(logits[name].argmax())
        if name in found and "skip" in found[name][position]:
            skip = (float(logits[name][position]), name, position)
            cells.setdefault(name.split("/")[0], []).append(skip)
    for skips in cells.values():
        if len(skips) > most:
            for _, name, position in sorted(skips):
                if np.isfinite(logits[name]).sum() > 1:
                    return name, position
    return None
