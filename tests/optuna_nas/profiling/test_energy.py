from __future__ import annotations

from pathlib import Path

import pytest

from optuna_nas.profiling import energy, profile_onnx
from optuna_nas.profiling.energy import EnergyMeter, energy_meter
from optuna_nas.profiling.rounds import MIN_ROUNDS, alternate

QUICK = {"budget_seconds": 0.05, "warmup": 2}


def zone(root: Path, folder: str, name: str, microjoules: int = 0, limit: int = 999_999) -> Path:
    """A powercap zone as Linux lays it out."""
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text(f"{limit}\n")
    return path


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path):
    first = zone(tmp_path, "intel-rapl:0", "package-0", 100)
    zone(tmp_path, "intel-rapl:0:0", "core", 50)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 999_990)
    zone(tmp_path, "intel-rapl:2", "psys", 7)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 7)
    meter = energy_meter(tmp_path)
    assert isinstance(meter, EnergyMeter)
    assert meter.source == "RAPL: package-0, package-1"
    before = meter.read()
    assert before == (100, 999_990)
    (first / "energy_uj").write_text("1100")
    (second / "energy_uj").write_text("10")  # 20 steps on, over the counter's end
    assert meter.joules(before, meter.read()) == pytest.approx(1020e-6)


def test_a_machine_without_counters_says_so(tmp_path: Path):
    assert energy_meter(tmp_path) == "not measured: this machine shows no RAPL counters"
    assert "no RAPL" in str(energy_meter(tmp_path / "missing"))


def test_counters_for_root_alone(tmp_path: Path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0")
    read = Path.read_text

    def refuse(path: Path, *arguments: object, **options: object) -> str:
        if path.name == "energy_uj":
            raise PermissionError
        return read(path)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert "energy_uj may be read by root alone" in str(energy_meter(tmp_path))


def test_counters_that_are_broken(tmp_path: Path):
    (zone(tmp_path, "intel-rapl:0", "package-0") / "energy_uj").write_text("none")
    assert "can't be read" in str(energy_meter(tmp_path))


class Ticking(EnergyMeter):
    """A counter that has moved by 3 joules at every reading."""

    def __init__(self, counters: tuple[energy._Counter, ...]) -> None:
        super().__init__(counters)
        object.__setattr__(self, "count", 0)

    def read(self) -> tuple[int, ...]:
        object.__setattr__(self, "count", self.count + 3_000_000)
        return (self.count,)


def test_energy_is_that_of_all_turns_over_all_runs(tmp_path: Path):
    counter = energy._Counter(tmp_path, "package-0", 10**12)
    runs = 0

    def run() -> None:
        nonlocal runs
        runs += 1

    (series,), _ = alternate(
        [run],
        warmup=1,
        budget_seconds=0.01,
        min_seconds=0.0,
        narrow=lambda _: False,
        meter=Ticking((counter,)),
    )
    assert series.joules == pytest.approx(3.0 * MIN_ROUNDS)
    warmup = runs - series.runs - MIN_ROUNDS
    assert series.millijoules == pytest.approx(3e3 * MIN_ROUNDS / (runs - warmup))


def test_profiles_tell_energy_or_why_there_is_none(model, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    profile = profile_onnx(model, **QUICK)
    assert profile.energy_mj is None
    assert "no RAPL counters" in profile.provenance["energy"]
    zone(tmp_path, "intel-rapl:0", "package-0")
    profile = profile_onnx(model, **QUICK)
    assert profile.energy_mj is None
    assert profile.provenance["energy"] == "not measured: RAPL: package-0 stands still"
    ticking = Ticking((energy._Counter(tmp_path, "package-0", 10**12),))
    monkeypatch.setattr("optuna_nas.profiling.measure.energy_meter", lambda: ticking)
    profile = profile_onnx(model, **QUICK)
    assert profile.energy_mj == pytest.approx(
        3e3 * profile.rounds / (profile.runs + profile.rounds)
    )
    assert profile.provenance["energy"] == "RAPL: package-0"
