"""What has been evaluated, has failed or is under way: not to be proposed again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable


class Archive:
    """Identities of architectures, finished or under way, by the number of their trial.

    An identity is whatever an `Encoding` computes. Failed architectures count as finished.
    """

    def __init__(self) -> None:
        self._finished: set[Hashable] = set()
        self._running: dict[int, Hashable] = {}
        self._running_count: Counter[Hashable] = Counter()

    def start(self, number: int, identity: Hashable) -> None:
        """An architecture is being evaluated; a later call with the same number corrects it."""
        self.drop(number)
        self._running[number] = identity
        self._running_count[identity] += 1

    def finish(self, number: int, identity: Hashable) -> None:
        """An architecture was evaluated, or failed."""
        self.drop(number)
        self._finished.add(identity)

    def knows_any(self, identities: Iterable[Hashable]) -> bool:
        """Whether one of the identities is known; asks for no more of them than it needs."""
        return any(i in self._finished or i in self._running_count for i in identities)

    def is_shared(self, number: int) -> bool:
        """Whether what a trial is to be was evaluated, or is under way in another trial."""
        identity = self._running.get(number)
        return self._running_count[identity] > 1 or identity in self._finished

    def drop(self, number: int) -> None:
        """Forget what a trial was to be, if anything."""
        if number in self._running:
            identity = self._running.pop(number)
            self._running_count[identity] -= 1
            if not self._running_count[identity]:
                del self._running_count[identity]
