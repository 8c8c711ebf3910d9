"""Energy from the counters that processors keep (RAPL), where Linux lets us read them.

The counters are of whole processor packages: what else runs meanwhile, and what an idle package
draws, is in them. Memory, accelerators and the rest of the machine are not. They advance about a
thousand times a second, so a turn of a few milliseconds is caught with an error of a quarter, and
the sum over many turns with one of a few percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class _Counter:
    """One package's counter; it starts anew at 0 after ``limit`` microjoules."""

    file: Path
    name: str
    limit: int

    def read(self) -> int:
        return int(self.file.read_text())


@dataclass(frozen=True)
class EnergyMeter:
    """The counters of all packages.

    Args:
        counters: At least one.
    """

    counters: tuple[_Counter, ...]

    @property
    def source(self) -> str:
        """What is counted, for a profile's provenance."""
        return f"RAPL: {', '.join(counter.name for counter in self.counters)}"

    def read(self) -> tuple[int, ...]:
        """Microjoules, one number for each counter."""
        return tuple(counter.read() for counter in self.counters)

    def joules(self, before: Sequence[int], after: Sequence[int]) -> float:
        """Energy between two readings less than one full counter (minutes) apart."""
        steps = zip(self.counters, before, after, strict=True)
        return sum((end - start) % (c.limit + 1) for c, start, end in steps) / 1e6


def energy_meter(root: Path | None = None) -> EnergyMeter | str:
    """The meter of this machine, or why there is none.

    Args:
        root: Linux's powercap folder; `POWERCAP` where left out.
    """
    root = POWERCAP if root is None else root
    counters = []
    # A second colon is a part of a package, which is counted already.
    for zone in sorted(root.glob("intel-rapl:*")):
        if zone.name.count(":") > 1:
            continue
        try:
            name = (zone / "name").read_text().strip()
            if not name.startswith("package"):  # "psys" is the platform, packages included
                continue
            limit = int((zone / "max_energy_range_uj").read_text())
            counter = _Counter(zone / "energy_uj", name, limit)
            counter.read()
        except PermissionError:
            return f"not measured: {zone / 'energy_uj'} may be read by root alone"
        except (OSError, ValueError) as error:
            return f"not measured: {zone} can't be read ({error})"
        counters.append(counter)
    if not counters:
        return "not measured: this machine shows no RAPL counters"
    return EnergyMeter(tuple(counters))
