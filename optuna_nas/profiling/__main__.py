"""``python -m optuna_nas.profiling model.onnx [more.onnx ...]`` prints latencies as a table."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from optuna_nas.errors import NASError
from optuna_nas.profiling.latency import LatencyProfile
from optuna_nas.profiling.measure import CPU, profile_many, profile_onnx


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m optuna_nas.profiling",
        description="Measure the latency of ONNX models with ONNX Runtime on this machine.",
        epilog="Several models are measured side by side, taking turns.",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL.onnx")
    parser.add_argument("--batch", type=int, default=1, help="size of a free batch axis (1)")
    parser.add_argument("--threads", type=int, default=1, help="threads inside an operator (1)")
    parser.add_argument("--provider", default=CPU, help=f"execution provider ({CPU})")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds for each model (2)")
    parser.add_argument("--target-ci", type=float, default=0.01, help="stop when this narrow (.01)")
    parser.add_argument("--no-operations", action="store_true", help="skip the time by operator")
    parser.add_argument("--memory", action="store_true", help="peak memory too, in a fresh process")
    parser.add_argument("--json", action="store_true", help="print the profiles as JSON")
    return parser


def _ms(value: float) -> str:
    return f"{value:.4f}" if value < 1 else f"{value:.3f}"


def _table(name: str, profile: LatencyProfile) -> str:
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
    if profile.peak_memory_bytes is not None:
        rows.append(("peak memory", f"{profile.peak_memory_bytes / 2**20:.1f} MiB"))
    rows += [
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 on success, 2 when a model can't be measured."""
    options = _parser().parse_args(arguments)
    common = {
        "batch": options.batch,
        "threads": options.threads,
        "provider": options.provider,
        "budget_seconds": options.budget,
        "target_ci": options.target_ci,
        "operations": not options.no_operations,
    }
    try:
        if options.memory:
            profiles = [profile_onnx(m, isolate=True, **common) for m in options.models]
        else:
            profiles = profile_many(options.models, **common)
    except NASError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        named = zip(options.models, profiles, strict=True)
        print(json.dumps({name: profile.to_dict() for name, profile in named}, indent=2))
    else:
        print("\n\n".join(map(_table, options.models, profiles)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
