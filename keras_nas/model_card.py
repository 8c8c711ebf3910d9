"""The model card: what a delivered model promises, measured where, made how."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_nas.finalists import Finalist
from optuna_nas.profiling import LatencyProfile

CARD = "model_card.md"


def accuracy_bound(accuracy: float, examples: int) -> float:
    """Lower end of the 95 % interval of an accuracy (Wilson 1927, "Probable inference").

    Args:
        accuracy: Share of examples that were right, 0 to 1.
        examples: How many there were.
    """
    from scipy.stats import binomtest

    right = binomtest(round(accuracy * examples), examples)
    return float(right.proportion_ci(0.95, method="wilson").low)


def guaranteed_name(task: str, best: Finalist) -> str:
    """A name that says what is promised: ``digits-chain_cnn-trial12-acc94.1-lat0.25ms-amd-epyc``.

    The accuracy is the lower end of its 95 % interval on the test rows, in percent rounded down,
    the latency the 90th percentile of single runs on the device that follows, rounded up.

    Args:
        task: Name of the study.
        best: The model, delivered; without a latency the name ends before it.
    """
    assert best.delivery is not None
    bound = accuracy_bound(best.delivery.test_accuracy, int(best.delivery.proof["images"]))
    parts = [_slug(task), f"trial{best.trial.number}", f"acc{math.floor(1000 * bound) / 10:.1f}"]
    if best.latency is not None:
        parts.append(f"lat{_rounded_up(best.latency.p90_ms)}ms")
        parts.append(_slug(str(best.latency.provenance.get("cpu", "unknown-device")).lower()))
    return "-".join(parts)


def model_card(
    task: str, best: Finalist, *, data: Mapping[str, Any], files: Mapping[str, Path]
) -> str:
    """The card, as Markdown.

    Args:
        task: Name of the study.
        best: The model, delivered.
        data: `Dataset.describe`.
        files: The model's files by role.
    """
    delivery = best.delivery
    assert delivery is not None
    count = int(delivery.proof["images"])
    bound = accuracy_bound(delivery.test_accuracy, count)
    lines = [
        f"# {guaranteed_name(task, best)}",
        "",
        "Takes raw features as they are in the data, and gives a probability for each class;",
        "preprocessing and softmax are inside.",
        "",
        "## Guarantees",
        "",
        f"- Test accuracy {delivery.test_accuracy:.2%} on {count} rows that neither the search "
        f"nor the training saw: at least {bound:.1%} with 95 % confidence (Wilson). "
        f"Mean cross-entropy {delivery.test_loss:.4f}.",
        *_latency_lines(best.latency),
        f"- The ONNX file agrees with the Keras file on {delivery.proof['agreement']:.2%} of these "
        f"rows; the largest difference of a probability is "
        f"{delivery.proof['max_abs_difference']:.2g}.",
        "",
        "## Origin",
        "",
        f"- Data: {data.get('name', task)}, fingerprint `{data.get('fingerprint', 'unknown')}`, "
        f"rows {dict(data.get('rows', {}))}",
        f"- Study `{task}`, trial {best.trial.number}, {best.epochs} epochs on training and "
        "validation rows",
        *(f"- `{name}`: {value}" for name, value in best.trial.params.items()),
        "",
        "## Files",
        "",
        *(f"- {role}: `{path.name}`, SHA-256 `{_digest(path)}`" for role, path in files.items()),
    ]
    return "\n".join(lines) + "\n"


def _latency_lines(latency: LatencyProfile | None) -> list[str]:
    if latency is None:
        return ["- Latency: not measured."]
    where = latency.provenance
    low, high = latency.ci_ms
    return [
        f"- Latency of a batch of {where.get('batch')}: 90 % of runs within "
        f"{_rounded_up(latency.p90_ms)} ms, median {latency.median_ms:.4g} ms "
        f"(95 % interval {low:.4g} to {high:.4g}), quickest {latency.min_ms:.4g} ms",
        f"  on {where.get('cpu')}, {where.get('threads')} of {where.get('cores')} cores, "
        f"{where.get('os')}, ONNX Runtime {where.get('onnxruntime')}, {where.get('provider')}, "
        f"load {where.get('load_average')}, {where.get('time')}.",
        f"- Size: {latency.size_bytes:,} bytes.",
    ]


def _rounded_up(value: float) -> str:
    """Two significant digits, never less than the value."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(round(value / unit, 9)) * unit:.12g}"


def _slug(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text).strip("-")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
