"""What a search strategy is asked, what it answers, and what it may know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from optuna_nas.search.archive import Archive
from optuna_nas.search.encoding import Domains, Encoding, Params
from optuna_nas.search.population import Individual
from optuna_nas.space.decisions import Value


@dataclass(frozen=True, slots=True)
class Request:
    """One more candidate is wanted.

    Attributes:
        number: Number of the trial it is for.
        domains: The decisions that are free, as far as they are known.
        fixed: Decisions that are taken already, whatever is proposed.
        rng: Source of all randomness.
    """

    number: int
    domains: Domains
    fixed: Params
    rng: np.random.Generator


@dataclass(frozen=True, slots=True)
class Proposal:
    """An answer.

    Attributes:
        params: Decisions by name, with the fixed ones among them. Some may be inactive in what they
            describe, and active ones may be missing where nothing is known of them.
        note: What the strategy will want to know of this candidate when it is finished, JSON-able;
            it is kept with the trial and comes back as `Individual.note`. None writes nothing.
    """

    params: dict[str, Value]
    note: Mapping[str, Any] | None = None


@dataclass
class Memory:
    """What is known of a study, whatever the strategy.

    Attributes:
        encoding: How candidates vary and which are the same.
        archive: Identities of what is finished, has failed or is under way.
        running: Decisions of the candidates under way, by number of trial, as far as they are
            known; of those that other workers chose a moment ago, none or some.
    """

    encoding: Encoding
    archive: Archive = field(default_factory=Archive)
    running: dict[int, Params] = field(default_factory=dict)


class Strategy(Protocol):
    """Chooses the next candidate from what was observed.

    One object serves one study. All that it knows has to follow from what it observed, so that
    another process can make the same one from the storage.
    """

    def observe(self, individuals: Sequence[Individual], memory: Memory) -> None:
        """Take in what has finished since the last call, oldest first; failures are among them.

        Workers may finish at the same time: an individual may be older than some of an earlier
        call.
        """

    def propose(self, request: Request, memory: Memory) -> Proposal:
        """The next candidate."""
