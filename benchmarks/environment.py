"""What a measurement was made on, and how results are written."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def environment(*packages: str) -> dict[str, Any]:
    """Versions, processor, load and command, as a JSON-able dictionary."""
    return {
        "command": shlex.join(["python", *map(_last_part, sys.argv)]),
        "commit": _commit(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
    }


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table with aligned columns, readable as it is."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    rule = ["-" * width for width in widths]
    lines = (
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in [header, rule, *rows]
    )
    return "\n".join(f"| {line} |" for line in lines)


def write(path: str | None, title: str, text: str, results: dict[str, Any]) -> None:
    """Print a report; write it as Markdown, or the numbers as JSON, by the ending of the path."""
    surroundings = "\n".join(f"- {key}: {value}" for key, value in results["environment"].items())
    report = f"# {title}\n\n{text}\n\n## Environment\n\n{surroundings}\n"
    print(report)
    if path is not None:
        content = json.dumps(results, indent=1) if path.endswith(".json") else report
        Path(path).write_text(content, encoding="utf-8")


def _last_part(argument: str) -> str:
    """An argument, of a path to data or results only the name."""
    return argument if argument.startswith("benchmarks/") else Path(argument).name


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return run.stdout.strip() or "unknown"
