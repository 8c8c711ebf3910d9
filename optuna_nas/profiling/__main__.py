"""``python -m optuna_nas.profiling model.onnx [more.onnx ...]`` prints latencies as a table."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from optuna_nas.errors import NASError, ProfilingError
from optuna_nas.profiling.inputs import parse_shape
from optuna_nas.profiling.measure import CPU, profile_many, profile_onnx
from optuna_nas.profiling.remote import profile_many_remote
from optuna_nas.profiling.tables import profile_table, variants_table
from optuna_nas.profiling.variants import measure_variants, read_examples


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m optuna_nas.profiling",
        description="Measure the latency of ONNX models with ONNX Runtime on this machine.",
        epilog="Several models, or batch sizes, are measured side by side, taking turns; with "
        "--memory one after another, each in a process of its own.",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL.onnx")
    parser.add_argument(
        "--batch",
        default="1",
        metavar="N[,N...]",
        help="size of a free first axis (1), or several: 1,8,32",
    )
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="NAME=1x3x224x224",
        help="shape of an input whose axes are free; may be given several times",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads inside an operator (1)")
    parser.add_argument("--provider", default=CPU, help=f"execution provider ({CPU})")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds for each model (2)")
    parser.add_argument("--target-ci", type=float, default=0.01, help="stop when this narrow (.01)")
    parser.add_argument("--no-operations", action="store_true", help="skip the time by operator")
    parser.add_argument("--memory", action="store_true", help="peak memory of each model, too")
    parser.add_argument(
        "--on",
        metavar="COMMAND",
        help="measure on the device where this runs a Python program from its standard input: "
        "--on 'ssh pi python3 -'",
    )
    parser.add_argument(
        "--variants",
        metavar="EXAMPLES.npz",
        help="make int8 and float16 variants of a model instead, calibrated and compared on the "
        "file's examples x, by their classes y where it has those",
    )
    parser.add_argument("--json", action="store_true", help="print the profiles as JSON")
    return parser


def _batches(text: str) -> list[int]:
    try:
        return [int(size) for size in text.split(",")]
    except ValueError:
        raise ProfilingError(
            f"--batch: expected a size, or several such as 1,8,32, got {text!r}", text
        ) from None


def _variants(options: argparse.Namespace) -> int:
    if len(options.models) > 1:
        raise ProfilingError(f"--variants: expected one model, got {options.models}")
    x, y = read_examples(options.variants)
    variants = measure_variants(
        options.models[0],
        x,
        y,
        isolate=True,
        threads=options.threads,
        provider=options.provider,
        budget_seconds=options.budget,
        target_ci=options.target_ci,
    )
    if options.json:
        print(json.dumps([variant.to_dict() for variant in variants], indent=2))
    else:
        print(f"{options.models[0]}\n{variants_table(variants)}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 on success, 2 when a model can't be measured."""
    options = _parser().parse_args(arguments)
    try:
        if options.variants:
            return _variants(options)
        batches = _batches(options.batch)
        shapes = dict(map(parse_shape, options.shape))
        stated = [name for name, shape in shapes.items() if shape[0] is not None]
        if len(batches) > 1 and stated:
            raise ProfilingError(
                f"--shape: with several batch sizes write a ? for the first axis of {stated[0]}",
                shapes,
            )
        work = [(model, batch) for model in options.models for batch in batches]
        common: dict[str, Any] = {
            "shapes": shapes,
            "threads": options.threads,
            "provider": options.provider,
            "budget_seconds": options.budget,
            "target_ci": options.target_ci,
            "operations": not options.no_operations,
        }
        models = [model for model, _ in work]
        each = [batch for _, batch in work]
        # In a process of their own: a model may end the process that runs it.
        if options.on:
            command = shlex.split(options.on)
            profiles = profile_many_remote(models, command=command, batch=each, **common)
        elif options.memory:
            profiles = [profile_onnx(m, batch=b, isolate=True, **common) for m, b in work]
        else:
            profiles = profile_many(models, batch=each, isolate=True, **common)
    except NASError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    names = [f"{m} (batch {b})" if len(batches) > 1 else m for m, b in work]
    if options.json:
        named = zip(names, profiles, strict=True)
        print(json.dumps({name: profile.to_dict() for name, profile in named}, indent=2))
    else:
        print("\n\n".join(map(profile_table, names, profiles)))
    return 0


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the table has seen enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141  # 128 + SIGPIPE, as shells have it
    sys.exit(code)
