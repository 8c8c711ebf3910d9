"""Candidates that are not known yet."""

from __future__ import annotations

from collections.abc import Callable

from optuna_nas.search.strategy import Memory, Request
from optuna_nas.space.decisions import Value

# A proposal that is known already is drawn anew; when all of these are known, the neighbourhood of
# the best is exhausted and the search walks away from it, one mutation a step. A space in which all
# is known costs this many draws, and then gives a duplicate.
REDRAWS = 10
STEPS = 40


def unknown(
    draw: Callable[[], dict[str, Value]], request: Request, memory: Memory, *, walk: bool
) -> dict[str, Value]:
    """A candidate that is neither finished nor under way, if one is found.

    Args:
        draw: Gives a candidate, another one at each call.
        request: What is asked for.
        memory: What is known.
        walk: Whether to walk away from the last candidate, mutation by mutation, once redrawing
            found nothing new; otherwise candidates are drawn throughout.

    Returns:
        The first unknown candidate, or the first of all where none was found.
    """
    first = candidate = draw()
    free = request.domains.keys() - request.fixed.keys()
    for attempt in range(REDRAWS + STEPS):
        if not memory.archive.knows_any(memory.encoding.identities(candidate)):
            return candidate
        if not walk or attempt < REDRAWS:
            candidate = draw()
            continue
        step = memory.encoding.mutate(candidate, request.domains, free, request.rng)
        if step is None:
            break
        candidate = memory.encoding.complete(step, request.domains, request.rng)
        candidate.update(request.fixed)
    return first
