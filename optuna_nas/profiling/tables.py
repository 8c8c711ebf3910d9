"""Profiles and variants as text, for the command."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_nas.profiling.latency import LatencyProfile
from optuna_nas.profiling.variants import Variant


def _ms(value: float) -> str:
    return f"{value:.4f}" if value < 1 else f"{value:.3f}"


def profile_table(name: str, profile: LatencyProfile) -> str:
    """A profile as lines of text, below a name."""
    low, high = profile.ci_ms
    where = profile.provenance
    rows = [
        ("median", f"{_ms(profile.median_ms)} ms   95 % CI {_ms(low)} to {_ms(high)}"),
        ("p90", f"{_ms(profile.p90_ms)} ms"),
        ("minimum", f"{_ms(profile.min_ms)} ms"),
        (
            "measured",
            f"{profile.runs} runs in {profile.rounds} rounds, {profile.seconds:.1f} s, "
            f"stopped by {profile.stopped_by}",
        ),
        ("size", f"{profile.size_bytes:,} bytes"),
    ]
    if profile.ratio_to_anchor is not None:
        rows.insert(3, ("ratio to anchor", f"{profile.ratio_to_anchor:.3f}"))
    if profile.params is not None:
        macs = "unknown" if profile.macs is None else f"{profile.macs:,}"
        rows.append(("counts", f"{profile.params:,} parameters, {macs} multiply-accumulates"))
    if profile.peak_memory_bytes is not None:
        rows.append(("peak memory", f"{profile.peak_memory_bytes / 2**20:.1f} MiB"))
    energy = str(where.get("energy"))
    if profile.energy_mj is not None:
        energy = f"{profile.energy_mj:.3f} mJ a run ({energy})"
    rows += [
        ("energy", energy),
        ("input", str(where["input_shapes"])),
        ("runtime", f"ONNX Runtime {where['onnxruntime']}, {where['provider']}"),
        ("threads", f"{where['threads']} of {where['cores']} cores, {where['cpu']}"),
        ("load, governor", f"{where['load_average']}, {where['governor'] or 'unknown'}"),
        ("system", f"{where['os']}, Python {where['python']}, {where['time']}"),
    ]
    lines = [name, *(f"  {label:<16}{value}" for label, value in rows)]
    if profile.operations:
        lines.append(f"  {'operator':<24}{'nodes':>6}{'ms':>10}{'share':>8}")
        for kind, total in profile.operations_by_kind().items():
            nodes = total.name.split()[0]
            lines.append(f"  {kind:<24}{nodes:>6}{_ms(total.ms):>10}{total.share:>8.1%}")
    return "\n".join(lines)


def variants_table(variants: Sequence[Variant]) -> str:
    """The variants as lines of text."""
    lines = [
        f"  {'variant':<14}{'ms':>9}{'speed-up':>10}{'bytes':>12}{'accuracy':>10}{'agreement':>11}"
        f"{'difference':>12}"
    ]
    for v in variants:
        accuracy = "-" if v.accuracy is None else f"{v.accuracy:.2%}"
        lines.append(
            f"  {v.name:<14}{v.profile.min_ms:>9.4f}{v.speedup:>10.2f}{v.profile.size_bytes:>12,}"
            f"{accuracy:>10}{v.agreement:>11.2%}{v.max_abs_difference:>12.2g}"
        )
    where = variants[0].profile.provenance
    lines.append(
        f"  {variants[0].examples} examples compared; {where['cpu']}, {where['provider']}, "
        f"{where['threads']} threads, ONNX Runtime {where['onnxruntime']}"
    )
    return "\n".join(lines)
