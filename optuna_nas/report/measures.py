"""Names and units of what trials are measured by, as people read them."""

from __future__ import annotations

from optuna_nas.report.text import MISSING, count, memory, number, percent, seconds

_LABELS = {
    "accuracy": "validation accuracy",
    "error": "validation error",
    "loss": "validation loss",
    "latency_ms": "latency (ms)",
    "params": "parameters",
    "macs": "multiply-accumulates",
    "size_bytes": "file size",
    "peak_activation_bytes": "activation memory",
}
_HEADS = {"accuracy": "accuracy", "params": "params", "macs": "MACs", "seconds": "time"}


def label(name: str) -> str:
    """A measure's name with its unit, as on an axis."""
    return _LABELS.get(name, name.replace("val_", "validation ").replace("_", " "))


def noun(name: str) -> str:
    """A measure's name without its unit, for where the value has it."""
    return label(name).removesuffix(" (ms)").removesuffix(" ms")


def head(name: str) -> str:
    """A measure's name over a narrow column."""
    return _HEADS.get(name, label(name))


def measured(name: str, value: float | None) -> str:
    """A value of a measure with its unit."""
    if value is None:
        return MISSING
    if name in ("accuracy", "error", "test_accuracy") and 0 <= value <= 1:
        return percent(value)
    if name in ("params", "macs"):
        return count(value)
    if name.endswith("_bytes"):
        return memory(value)
    if name == "seconds":
        return seconds(value)
    return f"{number(value)} ms" if name.endswith("_ms") else number(value)
